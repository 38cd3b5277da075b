//! The frame that files of the state have: one line that says what the file is, and then its body.
//!
//! ```text
//! {"keysteer":"overlay","version":1,"bytes":27,"sha256":"5c6b…"}
//! {"keys":{ … },"shards":{}}
//! ```
//!
//! `bytes` is the length of the body, and `sha256` the digest of `overlay 1 27` (kind, version and length as in the header),
//! a line feed and the body. The header is the same in every version, for ever; `version` is that of the body. Files are
//! replaced as a whole, so that a crash leaves the old one or the new one; whatever else is found was done to the file
//! afterwards, and is told rather than repaired.

use std::fmt::Write as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{StateError, disk};

/// The longest header that is looked for.
const LONGEST_HEADER: usize = 256;

/// A kind of file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// What the header calls it.
    pub(super) name: &'static str,
    /// The newest version of its body that this build knows; older ones are understood too.
    pub(super) version: u32,
    /// What starting without the file means.
    pub(super) consequence: &'static str,
}

/// The header, as JSON on a line of its own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    keysteer: String,
    version: u32,
    bytes: u64,
    sha256: String,
}

impl Header {
    fn of(name: &str, version: u32, body: &[u8]) -> Self {
        let bytes = body.len() as u64;
        let mut digest = Sha256::new_with_prefix(format!("{name} {version} {bytes}\n"));
        digest.update(body);
        Self { keysteer: name.to_owned(), version, bytes, sha256: hex(&digest.finalize()) }
    }

    fn line(&self) -> String {
        // The names are ours, and need no escapes.
        let Self { keysteer, version, bytes, sha256 } = self;
        format!(
            "{{\"keysteer\":\"{keysteer}\",\"version\":{version},\"bytes\":{bytes},\"sha256\":\"{sha256}\"}}\n"
        )
    }
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A body with its header.
pub(super) struct Sealed<'b> {
    header: Header,
    body: &'b [u8],
}

impl Sealed<'_> {
    /// The digest that the header has.
    pub(super) fn sha256(&self) -> &str {
        &self.header.sha256
    }

    /// Puts it into the file `path`; on the disk when this returns.
    pub(super) fn write(&self, path: &Path) -> Result<(), StateError> {
        disk::replace(path, &[self.header.line().as_bytes(), self.body])
    }
}

/// What a file holds, checked.
pub(super) struct Opened {
    /// The digest that the header has.
    pub(super) sha256: String,
    bytes: Vec<u8>,
    begin: usize,
}

impl Opened {
    /// The body.
    pub(super) fn body(&self) -> &[u8] {
        self.bytes.get(self.begin..).unwrap_or_default()
    }
}

impl Kind {
    /// Computes the header of `body`.
    pub(super) fn seal<'b>(&self, body: &'b [u8]) -> Sealed<'b> {
        Sealed { header: Header::of(self.name, self.version, body), body }
    }

    /// Puts `body` into the file `path`, framed; on the disk when this returns.
    pub(super) fn write(&self, path: &Path, body: &[u8]) -> Result<(), StateError> {
        self.seal(body).write(path)
    }

    /// Puts `value` into the file `path` as JSON, framed.
    pub(super) fn write_json(&self, path: &Path, value: &impl Serialize) -> Result<(), StateError> {
        let mut body = serde_json::to_vec(value).map_err(|error| StateError::Io {
            operation: "write",
            path: path.to_owned(),
            cause: error.into(),
        })?;
        body.push(b'\n');
        self.write(path, &body)
    }

    /// `body`, framed.
    pub(super) fn framed(&self, body: &[u8]) -> Vec<u8> {
        [self.seal(body).header.line().as_bytes(), body].concat()
    }

    /// The body of what is framed, checked; `path` is what it is called in errors.
    pub(super) fn body<'b>(&self, path: &Path, framed: &'b [u8]) -> Result<&'b [u8], StateError> {
        let (_, begin) = self.check(path, framed)?;
        Ok(framed.get(begin..).unwrap_or_default())
    }

    /// The file `path`, checked; `None` where there is none.
    pub(super) fn open(&self, path: &Path) -> Result<Option<Opened>, StateError> {
        let Some(bytes) = disk::read(path)? else { return Ok(None) };
        let (sha256, begin) = self.check(path, &bytes)?;
        Ok(Some(Opened { sha256, bytes, begin }))
    }

    /// What the file `path` holds as JSON; `None` where there is no file.
    pub(super) fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, StateError> {
        let Some(opened) = self.open(path)? else { return Ok(None) };
        serde_json::from_slice(opened.body()).map(Some).map_err(|error| self.damaged(path, error.to_string()))
    }

    /// The file does not hold what it should.
    pub(super) fn damaged(&self, path: &Path, what: impl Into<String>) -> StateError {
        StateError::Damaged { path: path.to_owned(), what: what.into(), consequence: self.consequence }
    }

    /// The digest that the header has, and where the body begins.
    fn check(&self, path: &Path, bytes: &[u8]) -> Result<(String, usize), StateError> {
        let Self { name, version: known, .. } = self;
        let damaged = |what: String| self.damaged(path, what);
        if bytes.is_empty() {
            return Err(damaged("it is empty".to_owned()));
        }
        let end = bytes.iter().take(LONGEST_HEADER).position(|byte| *byte == b'\n');
        let end =
            end.ok_or_else(|| damaged("it does not begin with a line that says what it is".to_owned()))?;
        let (line, body) = bytes.split_at(end + 1);
        let header: Header = serde_json::from_slice(line)
            .map_err(|error| damaged(format!("its first line does not say what it is: {error}")))?;
        if header.bytes != body.len() as u64 {
            let (said, there) = (header.bytes, body.len());
            return Err(damaged(format!("{there} bytes follow its first line, which says {said}")));
        }
        // The header is rendered anew and compared, so that a change to any of its bytes is noticed.
        if Header::of(&header.keysteer, header.version, body).line().as_bytes() != line {
            return Err(damaged("its content is not what its checksum says".to_owned()));
        }
        if header.keysteer != *name {
            return Err(damaged(format!("it is of kind `{}`, not `{name}`", header.keysteer)));
        }
        match header.version {
            0 => Err(damaged("its version is 0".to_owned())),
            found if found > *known => Err(StateError::Newer { path: path.to_owned(), found, known: *known }),
            _ => Ok((header.sha256, end + 1)),
        }
    }
}

#[cfg(test)]
impl Kind {
    /// The body of the file `path`.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.open(path)?.map(|opened| opened.body().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::state::crash::spoil;

    const KIND: Kind = Kind { name: "test", version: 2, consequence: "nothing is lost" };

    fn written(body: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        KIND.write(&path, body).unwrap();
        (directory, path)
    }

    #[test]
    fn what_was_written_is_read() {
        for body in [&b""[..], b"x", b"{}\n", b"\0\n\xff{\n"] {
            let (directory, path) = written(body);
            assert_eq!(KIND.read(&path).unwrap().unwrap(), body);
            KIND.write(&path, b"other").unwrap();
            assert_eq!(KIND.read(&path).unwrap().unwrap(), b"other");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(KIND.read(Path::new("/nowhere/file")).unwrap().is_none());
    }

    #[test]
    fn the_frame_is_the_one_that_was_published() {
        let (_directory, path) = written(b"{\"a\":1}\n");
        let published = "{\"keysteer\":\"test\",\"version\":2,\"bytes\":8,\"sha256\":\
            \"DIGEST\"}\n{\"a\":1}\n";
        let published = published.replace("DIGEST", &sha256(b"test 2 8\n{\"a\":1}\n"));
        assert_eq!(fs::read_to_string(&path).unwrap(), published);
        assert_eq!(KIND.read_json::<serde_json::Value>(&path).unwrap().unwrap(), serde_json::json!({"a": 1}));
    }

    #[test]
    fn every_cut_every_flip_and_every_added_byte_is_noticed() {
        let (_directory, path) = written(b"{\"keys\":{}}\n");
        let whole = fs::read(&path).unwrap();
        let refused = |bytes: &[u8], what: &dyn std::fmt::Debug| {
            spoil(&path, bytes);
            let error = KIND.read(&path).unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{what:?}: {error}");
            let error = error.to_string();
            assert!(error.contains("nothing is lost") && error.contains("/file"), "{error}");
        };
        for cut in 0..whole.len() {
            refused(&whole[..cut], &cut);
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                refused(&bytes, &(at, bit));
            }
        }
        for more in [&b"\n"[..], b"\0", b" ", b"{}"] {
            refused(&[&whole, more].concat(), &more);
            refused(&[more, &whole].concat(), &more);
        }
    }

    #[test]
    fn other_kinds_and_newer_versions_are_told_apart() {
        let (_directory, path) = written(b"{}\n");
        let other = Kind { name: "other", ..KIND };
        let error = other.read(&path).unwrap_err().to_string();
        assert!(error.contains("it is of kind `test`, not `other`"), "{error}");
        let older = Kind { version: 1, ..KIND };
        let error = older.read(&path).unwrap_err();
        assert!(matches!(error, StateError::Newer { found: 2, known: 1, .. }), "{error}");
        assert!(Kind { version: 3, ..KIND }.read(&path).unwrap().is_some());
        fs::write(&path, Header::of("test", 0, b"{}").line() + "{}").unwrap();
        assert!(KIND.read(&path).unwrap_err().to_string().contains("version is 0"));
    }
}
