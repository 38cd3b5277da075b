//! Without privilege.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use keysteer_tests::site::binary::{self, keysteer};
use keysteer_tests::site::policy::usual;

/// The user called nobody.
const NOBODY: u32 = 65_534;

#[test]
fn nobody_is_told_what_is_missing() {
    binary::demand_root();
    // A directory that nobody may read, with the program in it.
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    fs::copy(keysteer(), path("keysteer")).unwrap();
    fs::set_permissions(path("keysteer"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path("policy.yaml"), usual()).unwrap();
    fs::set_permissions(path("policy.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(path("keysteer"));
        command.args(arguments).current_dir(directory.path()).uid(NOBODY).gid(NOBODY);
        // No sudo to ask.
        command.env("PATH", directory.path());
        command
    };

    let agent = ["agent", "--policy", "policy.yaml", "--state-dir", "state", "--socket", "agent.sock"];
    let said = binary::run(&mut command(&agent));
    said.refuses(&["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", "as root (sudo keysteer agent"]);
    assert!(!path("state").exists() && !path("agent.sock").exists());

    let said = binary::run(&mut command(&["demo"]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("error: the demo needs root") && said.err.contains("keysteer demo` as root"),
        "{said:?}"
    );

    // What needs no privilege works.
    assert_eq!(binary::run(&mut command(&["validate", "policy.yaml"])).data(), "policy.yaml: valid\n");

    let explain = ["explain", "--policy", "policy.yaml", "--hex", "020000000002020000000001080600010800"];
    assert!(binary::run(&mut command(&explain)).data().contains("What would change it"));
    let said = binary::run(command(&explain).args(["--engine", "kernel"]));
    said.refuses(&["root"]);

    // Another user's agent.
    let socket = path("root.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let said = binary::run(&mut command(&["status", "--socket", "root.sock"]));
    said.refuses(&["may not connect to root.sock", "as root"]);
}
