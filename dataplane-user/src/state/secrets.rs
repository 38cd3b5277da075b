//! The secrets that hashes are seeded with. They persist, because a new flow secret would send flows of
//! keys wider than 1 to other shards. Nodes that share a file spread flows alike.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{StateError, disk};

/// File name inside the state directory: 32 bytes, mode 0600.
pub(super) const FILE: &str = "secrets";

/// Seeds of the packet path's hashes, and of that by which values are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secrets {
    /// SipHash key of the flow hash.
    pub flow: [u64; 2],
    /// Seed of the key table's hash.
    pub key: u64,
    /// SipHash key by which values of fields are shown whose `display` is `keyed-hash`. It hangs on all 32 bytes, and none of
    /// them can be told from it.
    pub display: [u64; 2],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Secrets from 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        fn word(bytes: &[u8], nth: usize) -> u64 {
            let mut eight = [0; 8];
            eight.iter_mut().zip(bytes.iter().skip(8 * nth)).for_each(|(to, byte)| *to = *byte);
            u64::from_le_bytes(eight)
        }
        let derived = Sha256::new().chain_update("keysteer display 1\n").chain_update(bytes).finalize();
        Self {
            flow: [word(bytes, 0), word(bytes, 1)],
            key: word(bytes, 2),
            display: [word(&derived, 0), word(&derived, 1)],
        }
    }

    /// What a policy is tried with where there is no node: fixed seeds, so that decisions are the same every time, and a
    /// display secret of this run alone, which nobody knows.
    ///
    /// # Errors
    /// `/dev/urandom` cannot be read.
    pub fn of_no_node() -> Result<Self, StateError> {
        let path = || "/dev/urandom".into();
        let bytes =
            Self::random().map_err(|cause| StateError::Io { operation: "read", path: path(), cause })?;
        Ok(Self { display: Self::from_bytes(&bytes).display, ..Self::from_bytes(&[0; 32]) })
    }

    /// Fresh secrets from the kernel's random source.
    ///
    /// # Errors
    /// `/dev/urandom` cannot be read.
    pub fn random() -> io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Secrets with the flow secret `flow`, put into a state directory in place of what is there. The seed of the key
    /// table is drawn anew: where keys are in it is nobody's concern.
    ///
    /// # Errors
    /// The kernel gives no random bytes, or the file cannot be written.
    pub fn rebuild(directory: &Path, flow: [u64; 2]) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        let mut bytes = Self::random().map_err(|cause| StateError::Io {
            operation: "seed",
            path: path.clone(),
            cause,
        })?;
        for (to, word) in bytes.chunks_exact_mut(8).zip(flow) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        disk::replace(&path, &[&bytes])?;
        Ok(Self::from_bytes(&bytes))
    }

    /// The secrets of a state directory that has some; none are made.
    ///
    /// # Errors
    /// The file cannot be read, or is not 32 bytes long.
    pub fn read(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) => return Err(StateError::Io { operation: "read", path, cause }),
        };
        match <&[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(Self::from_bytes(bytes)),
            Err(_) => Err(StateError::Damaged {
                path,
                what: format!("{} bytes instead of 32", bytes.len()),
                consequence: "flows of keys wider than one shard may move to another of their shards",
            }),
        }
    }

    /// The secrets of a state directory; made on first use.
    ///
    /// # Errors
    /// The file cannot be read or made, or is not 32 bytes long.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        let failed = |operation, cause| StateError::Io { operation, path: path.clone(), cause };
        match Self::read(directory) {
            Err(StateError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                let bytes = Self::random().map_err(|cause| failed("seed", cause))?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .map_err(|cause| failed("create", cause))?;
                file.write_all(&bytes)
                    .and_then(|()| file.sync_all())
                    .map_err(|cause| failed("write", cause))?;
                Ok(Self::from_bytes(&bytes))
            }
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_state_directory_draws_its_own_and_keeps_it() {
        let directories: Vec<_> = (0..8).map(|_| tempfile::tempdir().unwrap()).collect();
        let drawn: Vec<_> =
            directories.iter().map(|directory| Secrets::open(directory.path()).unwrap()).collect();
        for (at, one) in drawn.iter().enumerate() {
            assert!(!one.flow.contains(&0) && one.key != 0, "{at} has a word of zeros");
            for other in &drawn[..at] {
                assert!(one.flow[0] != other.flow[0] && one.flow[1] != other.flow[1]);
                assert!(one.key != other.key);
                assert!(one.display != other.display);
            }
        }
        for (directory, secrets) in directories.iter().zip(&drawn) {
            assert!(Secrets::open(directory.path()).unwrap() == *secrets, "a second opening gives another");
        }
    }

    #[test]
    fn the_file_is_for_its_owner_alone_whatever_the_umask() {
        let directory = tempfile::tempdir().unwrap();
        // Of this thread alone, so that other tests keep theirs.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
                nix::sys::stat::umask(nix::sys::stat::Mode::empty());
                Secrets::open(directory.path()).unwrap();
            });
        });
        let path = directory.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap().len(), 32);
    }

    #[test]
    fn what_is_tried_without_a_node_decides_alike_and_shows_otherwise_each_time() {
        let (one, other) = (Secrets::of_no_node().unwrap(), Secrets::of_no_node().unwrap());
        assert_eq!((one.flow, one.key), (other.flow, other.key));
        assert!(one.display != other.display && one.display != Secrets::from_bytes(&[0; 32]).display);
    }

    /// Also where nodes share the flow secret.
    #[test]
    fn the_display_secret_hangs_on_every_byte() {
        let all = Secrets::from_bytes(&[7; 32]).display;
        for at in 0..32 {
            let mut bytes = [7; 32];
            bytes[at] = 8;
            assert!(Secrets::from_bytes(&bytes).display != all, "byte {at}");
        }
    }

    #[test]
    fn debug_output_does_not_tell() {
        let secrets = Secrets::from_bytes(&[0x5a; 32]);
        assert_eq!(format!("{secrets:?}"), "Secrets(..)");
    }
}
