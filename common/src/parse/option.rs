//! One option among many: of Geneve by class and type (RFC 8926), of TCP by kind and experiment id (RFC 9293, RFC 6994).
//!
//! A walk notes where the option's data are in the work area ([`Inside::option`]), not in registers, so that the verifier goes on
//! once from wherever it ended.

use crate::access::{Packet, Pos, load_u32};
use crate::headers::Headers;
use crate::inside::Inside;
use crate::parse::tunnel::in_datagram;

/// Geneve options that are looked at.
pub const MAX_GENEVE_OPTIONS: u32 = 16;
/// TCP options that are looked at; padding counts as one each.
pub const MAX_TCP_OPTIONS: u32 = 40;

/// Bytes of a Geneve header.
const GENEVE: usize = 8;
/// Bytes of a TCP header without options.
const TCP: usize = 20;
/// Ends a list of TCP options.
const END: u8 = 0;
/// Pads between TCP options.
const PADDING: u8 = 1;
/// The first kind for experiments; the second is the last kind there is (RFC 4727).
const EXPERIMENT: u8 = 253;

/// Looks for the Geneve option of class and type `which` (class times 256 plus type).
#[inline(always)]
pub fn geneve<P: Packet>(packet: &P, inside: &mut Inside, which: u32) {
    inside.option_length = 0;
    let mut at = Pos::from_stored(inside.tunnel);
    let Some([first]) = packet.load::<[u8; 1]>(at, 0) else { return };
    let Some(end) = packet.advance(at, GENEVE + (((first & 0x3f) as usize) << 2)) else { return };
    let Some(begin) = packet.advance(at, GENEVE) else { return };
    at = begin;
    let mut walked = 0;
    while walked < MAX_GENEVE_OPTIONS && at.get() < end.get() {
        let Some(header) = load_u32(packet, at, 0) else { break };
        let length = ((header & 0x1f) as usize) << 2;
        let Some(data) = packet.advance(at, 4) else { break };
        let Some(next) = packet.advance(data, length) else { break };
        if next.get() > end.get() {
            break;
        }
        if header >> 8 == which {
            inside.option = data.store();
            inside.option_length = length as u16;
            break;
        }
        at = next;
        walked += 1;
    }
}

/// Looks for the TCP option `which`: its kind times 65,536, plus its experiment id where the kind is for experiments.
#[inline(always)]
pub fn tcp<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside, which: u32) {
    inside.option_length = 0;
    let mut at = Pos::from_stored(headers.l4);
    let Some([words]) = packet.load::<[u8; 1]>(at, 12) else { return };
    let Some(end) = packet.advance(at, ((words >> 4) as usize) << 2) else { return };
    let Some(begin) = packet.advance(at, TCP) else { return };
    if !in_datagram(headers, end, 0) {
        return;
    }
    at = begin;
    let mut walked = 0;
    while walked < MAX_TCP_OPTIONS && at.get() < end.get() {
        let Some([kind]) = packet.load::<[u8; 1]>(at, 0) else { break };
        if kind == END {
            break;
        }
        let mut length = 1;
        if kind != PADDING {
            let Some([_, bytes]) = packet.load::<[u8; 2]>(at, 0) else { break };
            length = bytes as usize;
            let Some(next) = packet.advance(at, length) else { break };
            if length < 2 || next.get() > end.get() {
                break;
            }
            if kind as u32 == which >> 16 {
                // Behind kind and length, and the experiment id where there is one.
                let id = kind >= EXPERIMENT;
                let before = if id { 4 } else { 2 };
                let named = !id
                    || packet
                        .load::<[u8; 2]>(at, 2)
                        .is_some_and(|id| u16::from_be_bytes(id) as u32 == which & 0xffff);
                if length >= before && named {
                    let Some(data) = packet.advance(at, before) else { break };
                    inside.option = data.store();
                    inside.option_length = (length - before) as u16;
                    break;
                }
            }
        }
        let Some(next) = packet.advance(at, length) else { break };
        at = next;
        walked += 1;
    }
}
