//! Identities as bytes. Those of one policy are much alike, so that each is written as how much it has in common with the one
//! before, and the rest. A million take a few megabytes, which is what saving them costs.
//!
//! ```text
//! entry = id - id before, bytes in common, bytes that follow (numbers of 7 bits a byte, lowest first, 0x80: more) and those
//! ```

use super::texts::Texts;

/// The entries from `first` on, whose ids ascend.
pub(super) fn encode(texts: &Texts, first: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((texts.len() - first) * 12);
    let (mut before, mut id_before) = ("", 0);
    for (text, id) in texts.iter_from(first) {
        let common = before.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        let rest = text.as_bytes().get(common..).unwrap_or_default();
        for number in [u64::from(id - id_before), common as u64, rest.len() as u64] {
            put(&mut bytes, number);
        }
        bytes.extend_from_slice(rest);
        (before, id_before) = (text, id);
    }
    bytes
}

/// The entries of a segment, whose ids ascend, or what is wrong with it.
pub(super) fn decode(mut bytes: &[u8], entries: usize) -> Result<Texts, &'static str> {
    // What a damaged file says of its length is not believed: an entry has three bytes at least.
    let mut found = Vec::with_capacity(entries.min(bytes.len() / 3));
    let mut texts: Vec<u8> = Vec::with_capacity(bytes.len() * 2);
    let (mut begin, mut id) = (0_usize, 0_u32);
    while !bytes.is_empty() {
        let mut number = || take(&mut bytes).and_then(|number| usize::try_from(number).ok());
        let (more, common, rest) =
            number().zip(number()).zip(number()).map(|((a, b), c)| (a, b, c)).ok_or("a number is cut off")?;
        let step = u32::try_from(more).ok().filter(|more| *more > 0);
        id = step.and_then(|step| id.checked_add(step)).ok_or("an id is out of range")?;
        let (new, after) = bytes.split_at_checked(rest).ok_or("a text is cut off")?;
        bytes = after;
        let end = texts.len();
        let common = begin.checked_add(common).filter(|common| *common <= end);
        texts.extend_from_within(begin..common.ok_or("a text is longer than the one it continues")?);
        texts.extend_from_slice(new);
        begin = end;
        found.push((texts.len(), id));
    }
    if found.len() != entries {
        return Err("it has more or fewer entries than the head says");
    }
    let texts = String::from_utf8(texts).map_err(|_| "a text is not UTF-8")?;
    match found.iter().all(|(end, _)| texts.is_char_boundary(*end)) {
        true => Ok(Texts::from_parts(texts, found)),
        false => Err("a text ends inside a character"),
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number from the beginning of `bytes`.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(entries: &[(String, u32)]) -> Texts {
        let mut texts = Texts::default();
        let mut id = 0;
        for (text, step) in entries {
            id += step;
            texts.push(text, id);
        }
        texts
    }

    fn pairs(texts: &Texts) -> Vec<(String, u32)> {
        texts.iter_from(0).map(|(text, id)| (text.to_owned(), id)).collect()
    }

    /// The bytes are the state of nodes in use: they must be read for ever.
    #[test]
    fn the_bytes_are_those_that_were_published() {
        let long = "x".repeat(200);
        let texts =
            texts(&[("p;t=a".into(), 1), ("p;t=\u{e9}".into(), 1), (String::new(), 300), (long.clone(), 1)]);
        let mut bytes = b"\x01\x00\x05p;t=a\x01\x04\x02\xc3\xa9\xac\x02\x00\x00\x01\x00\xc8\x01".to_vec();
        bytes.extend(long.bytes());
        assert_eq!(encode(&texts, 0), bytes);
        assert_eq!(pairs(&decode(&bytes, 4).unwrap()), pairs(&texts));
        assert_eq!(encode(&texts, 4), b"");
        assert_eq!(decode(b"", 0).unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_segment_is_told() {
        for (bytes, entries, what) in [
            (&b"\x01"[..], 1, "a number is cut off"),
            (b"\x01\x00\x80", 1, "a number is cut off"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1, "a number is cut off"),
            (b"\x00\x00\x00", 1, "an id is out of range"),
            (b"\xff\xff\xff\xff\x0f\x00\x00\x01\x00\x00", 2, "an id is out of range"),
            (b"\x01\x00\x02a", 1, "a text is cut off"),
            (b"\x01\x01\x00", 1, "a text is longer than the one it continues"),
            (b"\x01\x00\x01a\x01\x02\x00", 2, "a text is longer than the one it continues"),
            (b"\x01\x00\x01a", 2, "it has more or fewer entries than the head says"),
            (b"\x01\x00\x01\xff", 1, "a text is not UTF-8"),
            (b"\x01\x00\x01\xc3\x01\x00\x01\xa9", 2, "a text ends inside a character"),
        ] {
            assert_eq!(decode(bytes, entries).err(), Some(what), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(entries in proptest::collection::vec(("[a-c\u{e9}\u{ea}]{0,6}", 1..500_u32), 0..20)) {
            let texts = texts(&entries);
            for first in [0, entries.len() / 2] {
                let decoded = decode(&encode(&texts, first), entries.len() - first).unwrap();
                prop_assert_eq!(pairs(&decoded), &pairs(&texts)[first..]);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), entries in 0..9_usize) {
            let _ = decode(&bytes, entries);
        }
    }
}
