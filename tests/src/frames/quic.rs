//! QUIC headers (RFC 9000, section 17). What they protect is not made up: tests read headers alone.

/// A QUIC packet's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quic {
    /// With a long header (an Initial packet of version 1), else with a short one.
    pub long: bool,
    /// The destination connection id, at most 20 bytes.
    pub dcid: Vec<u8>,
    /// The source connection id, of long headers.
    pub scid: Vec<u8>,
}

impl Quic {
    /// An Initial packet to a connection id.
    pub fn long(dcid: &[u8]) -> Self {
        Self { long: true, dcid: dcid.to_vec(), scid: vec![0xc1; 5] }
    }

    /// A packet of an established connection.
    pub fn short(dcid: &[u8]) -> Self {
        Self { long: false, dcid: dcid.to_vec(), scid: Vec::new() }
    }

    /// The header of a packet that has `payload` bytes behind it.
    pub(super) fn bytes(&self, payload: usize) -> Vec<u8> {
        if !self.long {
            return [&[0x40], self.dcid.as_slice(), &[0x11, 0x22]].concat();
        }
        let id = |id: &[u8]| [&[id.len() as u8], id].concat();
        let mut header = vec![0xc1, 0, 0, 0, 1];
        header.extend(id(&self.dcid));
        header.extend(id(&self.scid));
        // No token; the length of packet number and payload as a two-byte integer (section 16).
        header.push(0);
        header.extend((0x4000 | (payload + 2) as u16 & 0x3fff).to_be_bytes());
        header.extend([0x11, 0x22]);
        header
    }
}
