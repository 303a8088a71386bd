//! The system's clipboard, on a thread of its own: talking to a display can take its time, or never end.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

/// How long a copy waits for the system's clipboard, and quitting for it to hand on what it holds.
const PATIENCE: Duration = Duration::from_secs(2);
const HAND_ON: Duration = Duration::from_millis(500);

/// Puts a text into a clipboard, or says why it can't.
pub type Writing = Box<dyn FnMut(String) -> Result<(), String>>;

/// Makes a [`Writing`] on the thread that it stays on.
pub type OpenClipboard = Box<dyn FnOnce() -> Writing + Send>;

/// The clipboard of this system, opened when it is first written to. What is copied can be pasted for as long as this
/// lives; after that where the system keeps it.
pub fn system_clipboard() -> Writing {
    let mut open = None;
    Box::new(move |text| {
        if open.is_none() {
            open = Some(arboard::Clipboard::new().map_err(|error| error.to_string())?);
        }
        let Some(clipboard) = &mut open else { return Ok(()) };
        clipboard.set_text(text).map_err(|error| error.to_string())
    })
}

type Request = (String, oneshot::Sender<Result<(), String>>);

/// The way to the thread that has the clipboard.
pub struct Clipboard {
    state: Mutex<State>,
}

enum State {
    /// Nothing has been copied yet.
    Closed(OpenClipboard),
    Open {
        requests: mpsc::Sender<Request>,
        ended: oneshot::Receiver<()>,
    },
    None,
}

impl Clipboard {
    /// `None`: there is none.
    pub fn new(open: Option<OpenClipboard>) -> Self {
        Self { state: Mutex::new(open.map_or(State::None, State::Closed)) }
    }

    /// Copies a text.
    ///
    /// # Errors
    /// When there is no clipboard, it refuses, or it does not answer in time.
    pub async fn write(&self, text: String) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            *state = match std::mem::replace(&mut *state, State::None) {
                State::Closed(open) => start(open),
                other => other,
            };
            let State::Open { requests, .. } = &*state else { return Err("there is no clipboard here".to_owned()) };
            requests.send((text, reply)).map_err(|_| "the clipboard is gone".to_owned())?;
        }
        match timeout(PATIENCE, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the clipboard is gone".to_owned()),
            Err(_) => Err("the clipboard does not answer".to_owned()),
        }
    }

    /// Ends the thread, which hands on what it holds; one that hangs is left behind.
    pub async fn close(&self) {
        let state = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::None);
        if let State::Open { requests, ended } = state {
            drop(requests);
            let _ = timeout(HAND_ON, ended).await;
        }
    }
}

/// Not one of tokio's blocking threads: quitting would wait for those, however long they take.
fn start(open: OpenClipboard) -> State {
    let (requests, received) = mpsc::channel::<Request>();
    let (end, ended) = oneshot::channel();
    let work = move || {
        let mut write = open();
        for (text, reply) in received {
            let _ = reply.send(write(text));
        }
        drop(write);
        drop(end);
    };
    match thread::Builder::new().name("clipboard".to_owned()).spawn(work) {
        Ok(_) => State::Open { requests, ended },
        Err(_) => State::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_or_breaks_is_told_and_keeps_nobody() {
        let (_hold, held) = mpsc::channel::<()>();
        let hangs: OpenClipboard = Box::new(move || {
            let _ = held.recv();
            Box::new(|_| Ok(()))
        });
        let clipboard = Clipboard::new(Some(hangs));
        assert_eq!(clipboard.write("x".to_owned()).await, Err("the clipboard does not answer".to_owned()));
        clipboard.close().await;
        assert_eq!(clipboard.write("x".to_owned()).await, Err("there is no clipboard here".to_owned()));
    }

    #[tokio::test]
    async fn it_is_opened_once_and_given_up_at_the_end() {
        let (written, texts) = mpsc::channel();
        let clipboard = Clipboard::new(Some(Box::new(move || {
            Box::new(move |text: String| {
                if text == "no" {
                    return Err("refused".to_owned());
                }
                written.send(text).map_err(|error| error.to_string())
            })
        })));
        assert_eq!(clipboard.write("a".to_owned()).await, Ok(()));
        assert_eq!(clipboard.write("no".to_owned()).await, Err("refused".to_owned()));
        assert_eq!(clipboard.write("b".to_owned()).await, Ok(()));
        clipboard.close().await;
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "b"], "ends only if the thread has let go of its end");
    }
}
