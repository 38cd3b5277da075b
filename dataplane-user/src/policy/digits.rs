//! Numbers written fast.

/// A short text of digits, written from its end. There can be a million to write, and `write!` takes
/// several times as long.
#[derive(Default)]
pub(super) struct Digits {
    bytes: [u8; 20],
    len: usize,
}

impl Digits {
    /// Puts a byte in front.
    pub(super) fn byte(&mut self, byte: u8) {
        self.len += 1;
        if let Some(place) = self.bytes.len().checked_sub(self.len).and_then(|at| self.bytes.get_mut(at)) {
            *place = byte;
        }
    }

    /// Puts a decimal number in front.
    pub(super) fn number(&mut self, mut number: u64) {
        loop {
            self.byte(b'0' + (number % 10) as u8);
            number /= 10;
            if number == 0 {
                break;
            }
        }
    }

    /// Appends what was put in front.
    pub(super) fn append_to(&self, text: &mut String) {
        let written = self.bytes.len().checked_sub(self.len).and_then(|begin| self.bytes.get(begin..));
        text.push_str(written.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default());
    }
}
