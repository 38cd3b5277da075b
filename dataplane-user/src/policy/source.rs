//! Where a field is read, in words.

use keysteer_common::carrier::Carrier;
use keysteer_common::config::ANY_ROTATION;

use super::model::Field;

impl Field {
    /// The bits of its carrier that it takes, where not all: the first, counted from the most significant, and how many. Of a
    /// signed block the value is the whole key.
    pub fn range(&self) -> Option<(u16, u16)> {
        let all = if self.signed { Carrier::ShimKey.bits() } else { self.carrier.bits() };
        let bits = u16::from(self.bits);
        (self.table.is_none() && bits != all).then_some((self.offset, bits))
    }

    /// The carrier, and which one of those there are, such as `geneve.option class 258 type 128`: without the bits.
    pub fn source(&self) -> String {
        let name = self.carrier.name();
        let which = self.which;
        let which = match self.carrier {
            Carrier::GeneveOption => format!(" class {} type {}", which >> 8, which & 0xff),
            Carrier::TcpOption if which & 0xffff != 0 || which >> 16 >= 253 => {
                format!(" kind {} experiment {}", which >> 16, which & 0xffff)
            }
            Carrier::TcpOption => format!(" kind {}", which >> 16),
            Carrier::QuicDcid if which != ANY_ROTATION => format!(" rotation {which}"),
            _ => String::new(),
        };
        // A shim is always signed.
        let signed = if self.signed && self.carrier != Carrier::ShimKey { ", signed" } else { "" };
        format!("{name}{which}{signed}")
    }
}
