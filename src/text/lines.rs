use std::ops::Range;

/// Answers which lines a byte range of a text covers.
#[derive(Debug, Clone)]
pub struct LineIndex {
    /// Byte offset of each line's first byte; the first is 0.
    starts: Vec<usize>,
}

impl LineIndex {
    pub fn new(text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { starts }
    }

    /// First and last line of a byte range, counted from 1, both included. An empty range is on the line where it is.
    pub fn lines(&self, bytes: &Range<usize>) -> (u32, u32) {
        let first = self.line(bytes.start);
        let last = if bytes.is_empty() { first } else { self.line(bytes.end - 1) };
        (first, last)
    }

    fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_on_the_line_of_its_last_byte() {
        let index = LineIndex::new("one\ntwo\n\nfour");
        assert_eq!(index.lines(&(0..3)), (1, 1));
        assert_eq!(index.lines(&(0..4)), (1, 1), "the line feed belongs to the line it ends");
        assert_eq!(index.lines(&(0..5)), (1, 2));
        assert_eq!(index.lines(&(8..13)), (3, 4));
        assert_eq!(index.lines(&(9..9)), (4, 4));
    }
}
