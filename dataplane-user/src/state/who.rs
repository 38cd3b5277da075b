//! Who asked for a change: the peer of the local socket as the kernel names it, or the agent itself.

use std::fmt;
use std::fs;

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};

/// A process that asked for something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// Its effective user id.
    pub uid: u32,
    /// Its process id, in the agent's view; 0 where the kernel does not tell.
    pub pid: u32,
    /// The user's name, where the node knows one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// The program that it ran, where that could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exe: Option<String>,
}

impl Who {
    /// The peer of a socket, by its credentials (`SO_PEERCRED`), with what the node knows of it now. The program is what the
    /// process runs by now: a hint, where the user is certain.
    pub fn peer(uid: u32, pid: u32) -> Self {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let exe = (pid > 0).then(|| fs::read_link(format!("/proc/{pid}/exe")).ok()).flatten();
        Self { uid, pid, user, exe: exe.map(|path| path.display().to_string()) }
    }

    /// This process: for what the agent does by itself, such as ending a word whose time is over.
    pub fn this() -> Self {
        Self::peer(Uid::effective().as_raw(), std::process::id())
    }
}

/// The user by name, else by number.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => f.write_str(user),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_known_by_what_the_node_says() {
        let this = Who::this();
        assert_eq!(this.exe.as_deref(), std::env::current_exe().unwrap().to_str());
        assert_eq!(Who::peer(this.uid, 0), Who { pid: 0, exe: None, ..this });
        assert_eq!(Who::peer(0, 0).to_string(), "root");
        let nobody = Who::peer(4_000_000_000, 0);
        assert_eq!((nobody.user.as_deref(), nobody.to_string().as_str()), (None, "uid 4000000000"));
        let text = serde_json::to_string(&nobody).unwrap();
        assert_eq!(
            (text.as_str(), serde_json::from_str(&text).ok()),
            (r#"{"uid":4000000000,"pid":0}"#, Some(nobody))
        );
    }
}
