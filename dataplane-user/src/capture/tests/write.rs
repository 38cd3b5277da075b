//! Captures, written.

/// A byte order and words in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) big: bool,
}

/// Both byte orders.
pub(super) const ORDERS: [Words; 2] = [Words { big: false }, Words { big: true }];

impl Words {
    pub(super) fn u32s(self, words: &[u32]) -> Vec<u8> {
        let word = |word: &u32| if self.big { word.to_be_bytes() } else { word.to_le_bytes() };
        words.iter().flat_map(word).collect()
    }

    pub(super) fn u16s(self, words: &[u16]) -> Vec<u8> {
        let word = |word: &u16| if self.big { word.to_be_bytes() } else { word.to_le_bytes() };
        words.iter().flat_map(word).collect()
    }

    /// The header of a pcap file.
    pub(super) fn pcap(self, magic: u32, link: u32) -> Vec<u8> {
        [self.u32s(&[magic]), self.u16s(&[2, 4]), self.u32s(&[0, 0, 65_535, link])].concat()
    }

    /// A packet of a pcap file, of which `original` bytes were on the wire.
    pub(super) fn record(self, bytes: &[u8], original: usize) -> Vec<u8> {
        [self.u32s(&[1_700_000_000, 999_999, length(bytes), original as u32]), bytes.to_vec()].concat()
    }

    /// A block of a pcapng file.
    pub(super) fn block(self, kind: u32, content: &[&[u8]]) -> Vec<u8> {
        let mut content = content.concat();
        content.resize(content.len().next_multiple_of(4), 0);
        let length = self.u32s(&[length(&content) + 12]);
        [&self.u32s(&[kind])[..], &length, &content, &length].concat()
    }

    /// A section without anything in it.
    pub(super) fn section(self) -> Vec<u8> {
        let version = self.u16s(&[1, 0]);
        self.block(0x0a0d_0d0a, &[&self.u32s(&[0x1a2b_3c4d]), &version, &[0xff; 8], &self.comment()])
    }

    /// An interface with a name and a snap length.
    pub(super) fn interface(self, link: u16, snap: u32) -> Vec<u8> {
        let name = [self.u16s(&[2, 4]), b"eth0".to_vec(), self.u16s(&[0, 0])].concat();
        self.block(1, &[&self.u16s(&[link, 0]), &self.u32s(&[snap]), &name])
    }

    /// An enhanced packet.
    pub(super) fn enhanced(self, interface: u32, bytes: &[u8], original: usize) -> Vec<u8> {
        let head = self.u32s(&[interface, 5, 6, length(bytes), original as u32]);
        let padding = [0; 3];
        let padding = padding.get(..bytes.len().next_multiple_of(4) - bytes.len()).unwrap_or_default();
        self.block(6, &[&head, bytes, padding, &self.comment()])
    }

    /// An obsolete packet.
    pub(super) fn obsolete(self, interface: u16, bytes: &[u8]) -> Vec<u8> {
        let head =
            [self.u16s(&[interface, 0xffff]), self.u32s(&[5, 6, length(bytes), length(bytes)])].concat();
        self.block(2, &[&head, bytes])
    }

    /// A simple packet.
    pub(super) fn simple(self, bytes: &[u8], original: usize) -> Vec<u8> {
        self.block(3, &[&self.u32s(&[original as u32]), bytes])
    }

    /// Options: a comment, and their end.
    fn comment(self) -> Vec<u8> {
        [self.u16s(&[1, 5]), b"hello\0\0\0".to_vec(), self.u16s(&[0, 0])].concat()
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

/// A frame of this many bytes, no two alike.
pub(super) fn frame(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + length) as u8).collect()
}

/// A capture of each format and byte order with all kinds of content, and where each of its packets ends.
pub(super) fn captures() -> Vec<(&'static str, Vec<u8>, Vec<usize>)> {
    let mut all = Vec::new();
    for words in ORDERS {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d] {
            let mut bytes = words.pcap(magic, 1);
            let mut ends = Vec::new();
            for length in [60, 0, 1514, 61] {
                bytes.extend(words.record(&frame(length), length));
                ends.push(bytes.len());
            }
            all.push(("pcap", bytes, ends));
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let mut add = |part: Vec<u8>, is_packet: bool| {
            bytes.extend(part);
            if is_packet {
                ends.push(bytes.len());
            }
        };
        add(words.section(), false);
        add(words.interface(1, 0), false);
        add(words.enhanced(0, &frame(60), 60), true);
        add(words.block(0x0bad, &[b"a block that nobody knows"]), false);
        add(words.obsolete(0, &frame(61)), true);
        add(words.simple(&frame(1514), 1514), true);
        add(words.enhanced(0, &frame(0), 0), true);
        all.push(("pcapng", bytes, ends));
    }
    all
}
