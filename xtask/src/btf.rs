//! One order for what LLVM orders by address: the forward declarations at the end of an object's BTF.
//!
//! A pointer from one structure to another (`__sk_buff.sk`) becomes a pointer to a forward declaration.
//! LLVM's BTF writer collects these in a map whose key is the address of a debug-information node, so
//! their order, and that of their names, is another in every run. Nothing reads the order; reproducible
//! bytes need one, and here it is that of the pointers that lead to them.

use anyhow::{Context, Result, bail};

/// `struct btf_header` (include/uapi/linux/btf.h): magic, version, flags, its length, then offset and
/// length of types and of strings, from the end of the header.
const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// `struct btf_type`: name, info, size or type.
const TYPE: usize = 12;
const PTR: u32 = 2;
const FWD: u32 = 7;

/// Where one type is in the section, and what it is.
struct Type {
    at: usize,
    kind: u32,
    name: usize,
    refers_to: usize,
}

/// Sorts the forward declarations at the end of `btf`, a `.BTF` section, and their names.
///
/// # Errors
/// Where the section is not BTF, or has a kind of type or an order that this does not know.
pub(crate) fn canonical(btf: &mut [u8]) -> Result<()> {
    if u16::from_le_bytes(array(btf, 0)?) != MAGIC || word(btf, 4)? != HEADER {
        bail!("not a BTF section of the version that is known here");
    }
    let strings = HEADER + word(btf, 16)?;
    let types = types(btf)?;
    let first = types.iter().rposition(|each| each.kind != FWD).map_or(0, |last| last + 1);
    if types[..first].iter().any(|each| each.kind == FWD) {
        bail!("a forward declaration that is not at the end of the BTF types");
    }
    // Types are numbered from one. A declaration's place is that of the first pointer that leads to it.
    let pointed_by = |fwd: usize| {
        types.iter().position(|each| each.kind == PTR && each.refers_to == fwd + 1).unwrap_or(usize::MAX)
    };
    let mut order: Vec<usize> = (first..types.len()).collect();
    order.sort_by_key(|&fwd| (pointed_by(fwd), fwd));

    let names = Names::of(btf, strings, types[first..].iter().map(|each| each.name))?;
    let shared = types[..first].iter().any(|each| names.old.contains(&each.name) && each.name != 0);
    if shared {
        bail!("a forward declaration shares its name with another type");
    }
    let rows: Vec<[u8; TYPE]> = order.iter().map(|&fwd| array(btf, types[fwd].at)).collect::<Result<_>>()?;
    let (laid, moved) = names.in_order(order.iter().map(|&fwd| types[fwd].name));
    for (place, (mut row, &fwd)) in rows.into_iter().zip(&order).enumerate() {
        let name = moved.iter().find(|(old, _)| *old == types[fwd].name).context("a name without a place")?;
        row[..4].copy_from_slice(&u32::try_from(name.1)?.to_le_bytes());
        btf[types[first + place].at..][..TYPE].copy_from_slice(&row);
    }
    btf[strings + names.start..][..laid.len()].copy_from_slice(&laid);
    for pointer in types.iter().filter(|each| each.kind == PTR) {
        if let Some(place) = order.iter().position(|&fwd| fwd + 1 == pointer.refers_to) {
            let number = u32::try_from(first + place + 1)?;
            btf[pointer.at + 8..][..4].copy_from_slice(&number.to_le_bytes());
        }
    }
    Ok(())
}

/// The names of the forward declarations: they lie one after the other in the table of strings.
struct Names {
    /// Offset of the first in the table.
    start: usize,
    /// Each name's offset, in their order of now.
    old: Vec<usize>,
    /// Each name with its final zero, in the same order.
    text: Vec<Vec<u8>>,
}

impl Names {
    fn of(btf: &[u8], strings: usize, offsets: impl Iterator<Item = usize>) -> Result<Self> {
        let mut old: Vec<usize> = offsets.collect();
        old.sort_unstable();
        old.dedup();
        let text = old.iter().map(|&at| string(btf, strings + at)).collect::<Result<Vec<_>>>()?;
        for (pair, text) in old.windows(2).zip(&text) {
            if pair[0] + text.len() != pair[1] {
                bail!("names of forward declarations do not lie side by side");
            }
        }
        Ok(Self { start: old.first().copied().unwrap_or_default(), old, text })
    }

    /// The names in the order in which `used` (old offsets) first has them, and each one's new offset.
    fn in_order(&self, used: impl Iterator<Item = usize>) -> (Vec<u8>, Vec<(usize, usize)>) {
        let mut laid = Vec::new();
        let mut moved: Vec<(usize, usize)> = Vec::new();
        for name in used {
            if moved.iter().any(|(old, _)| *old == name) {
                continue;
            }
            if let Ok(index) = self.old.binary_search(&name) {
                moved.push((name, self.start + laid.len()));
                laid.extend(&self.text[index]);
            }
        }
        (laid, moved)
    }
}

/// All types of a section, in order.
fn types(btf: &[u8]) -> Result<Vec<Type>> {
    let mut at = HEADER + word(btf, 8)?;
    let end = at + word(btf, 12)?;
    let mut types = Vec::new();
    while at < end {
        let info = u32::from_le_bytes(array(btf, at + 4)?);
        let kind = (info >> 24) & 0x1f;
        types.push(Type { at, kind, name: word(btf, at)?, refers_to: word(btf, at + 8)? });
        at += TYPE + extra(kind, (info & 0xffff) as usize)?;
    }
    Ok(types)
}

/// Bytes after a type of `kind` with `members` (Documentation/bpf/btf.rst).
fn extra(kind: u32, members: usize) -> Result<usize> {
    Ok(match kind {
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * members,
        6 | 13 => 8 * members,
        2 | 7..=12 | 16 | 18 => 0,
        _ => bail!("BTF type of kind {kind}, which is not known here"),
    })
}

fn string(btf: &[u8], at: usize) -> Result<Vec<u8>> {
    let rest = btf.get(at..).context("a BTF name outside of its section")?;
    let end = rest.iter().position(|&byte| byte == 0).context("a BTF name without an end")?;
    Ok(rest[..=end].to_vec())
}

fn word(btf: &[u8], at: usize) -> Result<usize> {
    Ok(u32::from_le_bytes(array(btf, at)?) as usize)
}

fn array<const N: usize>(btf: &[u8], at: usize) -> Result<[u8; N]> {
    btf.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).context("BTF section cut short")
}

#[cfg(test)]
mod tests {
    use super::canonical;

    /// A section with pointers to two declarations, which come in the order `fwds`.
    fn section(fwds: [&str; 2]) -> Vec<u8> {
        let mut strings = vec![0];
        let offset = |strings: &mut Vec<u8>, name: &str| {
            let at = strings.len() as u32;
            strings.extend(name.bytes().chain([0]));
            at
        };
        let at = fwds.map(|name| offset(&mut strings, name));
        let one = fwds.iter().position(|name| *name == "bpf_flow_keys").unwrap() as u32;
        let mut types: Vec<u32> = Vec::new();
        types.extend([0, 2 << 24, 3 + one]);
        types.extend([0, 2 << 24, 4 - one]);
        types.extend([at[0], 7 << 24, 0, at[1], 7 << 24, 0]);
        let length = types.len() as u32 * 4;
        let mut btf = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, length, length, strings.len() as u32].iter().chain(&types) {
            btf.extend(word.to_le_bytes());
        }
        btf.extend(strings);
        btf
    }

    #[test]
    fn both_orders_become_the_order_of_the_pointers() {
        let expected = section(["bpf_flow_keys", "bpf_sock"]);
        for mut btf in [expected.clone(), section(["bpf_sock", "bpf_flow_keys"])] {
            canonical(&mut btf).unwrap();
            assert_eq!(btf, expected);
        }
    }

    #[test]
    fn what_is_not_btf_is_refused() {
        assert!(canonical(&mut [0; 40]).is_err());
        assert!(canonical(&mut section(["bpf_flow_keys", "bpf_sock"])[..30]).is_err());
    }
}
