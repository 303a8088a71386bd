use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
};

use crossterm::{
    queue,
    terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate},
};

/// Where the application draws: a frame is collected here however often it is flushed in between, and goes out in one
/// piece, between the marks of a synchronised update. A terminal that knows them shows it at once; others ignore them.
/// A frame without a byte sends none. Clones share what is collected.
#[derive(Clone, Debug, Default)]
pub struct Output(Rc<RefCell<Vec<u8>>>);

impl Output {
    /// Sends what was collected.
    ///
    /// # Errors
    /// When the terminal takes no more.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let mut frame = std::mem::take(&mut *self.0.borrow_mut());
        if frame.is_empty() {
            return Ok(());
        }
        queue!(frame, EndSynchronizedUpdate)?;
        to.write_all(&frame)?;
        to.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut frame = self.0.borrow_mut();
        if frame.is_empty() && !bytes.is_empty() {
            queue!(frame, BeginSynchronizedUpdate)?;
        }
        frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_out_in_one_piece_and_none_without_a_byte() {
        let (output, mut terminal) = (Output::default(), Vec::new());
        output.send(&mut terminal).unwrap();
        assert!(terminal.is_empty());
        let mut writer = output.clone();
        for part in ["one", "", " two"] {
            writer.write_all(part.as_bytes()).unwrap();
            writer.flush().unwrap();
        }
        output.send(&mut terminal).unwrap();
        output.send(&mut terminal).unwrap();
        assert_eq!(String::from_utf8(terminal).unwrap(), "\x1b[?2026hone two\x1b[?2026l");
    }
}
