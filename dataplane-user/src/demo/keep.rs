//! Leaving the world up to be looked at.

use std::path::Path;
use std::time::Duration;

use super::child::{Agent, METRICS};
use super::site::Site;
use super::{DemoError, signals};
use crate::world::{Name, Namespace};

/// Namespaces by the names that other tools find them under.
fn named(site: &Site) -> impl Iterator<Item = (String, &Namespace)> {
    let shards = site.shards.iter().map(|shard| (shard.plan.name, &shard.host));
    [("client", &site.client), ("node", &site.node)]
        .into_iter()
        .chain(shards)
        .map(|(name, namespace)| (format!("keysteer-{name}"), namespace))
}

/// Removes names that a killed run left.
///
/// # Errors
/// One cannot be removed.
pub(super) fn remove_leftovers(site: &Site) -> Result<(), DemoError> {
    for (name, _) in named(site) {
        Name::remove_leftover(&name)?;
    }
    Ok(())
}

/// Names the namespaces, says what to try, and waits for ctrl-C.
///
/// # Errors
/// A namespace cannot be named, or the agent ends.
pub(super) fn until_interrupted(agent: &mut Agent, site: &Site) -> Result<(), DemoError> {
    let names = named(site).map(|(name, namespace)| namespace.name(&name)).collect::<Result<Vec<_>, _>>()?;
    let program = std::env::current_exe().map_err(DemoError::at("find out which program this is"))?;
    say(&program, &agent.socket);
    while !signals::caught() {
        agent.check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(names);
    Ok(())
}

fn say(program: &Path, socket: &Path) {
    let (keysteer, socket) = (program.display(), socket.display());
    println!(
        "
The world stays up with the agent running. Try, as root in another terminal:

  {keysteer} status --socket {socket}
  {keysteer} key list --socket {socket}
  {keysteer} shard list --socket {socket}
  curl --unix-socket {socket} http://localhost/v1/keys
  nsenter --net=/run/netns/keysteer-node curl http://{METRICS}/metrics

Be a client (acme is 10.1.0.1-8, globex 10.2.0.1-8, initech 10.3.0.1-8 is denied):

  nsenter --net=/run/netns/keysteer-client bash
  echo hello | nc -w 1 -s 10.2.0.1 203.0.113.10 7000
  exec 3<>/dev/tcp/203.0.113.10/7000; echo hello >&3; head -n 1 <&3    # a client without a tenant

Watch what reaches shard a meanwhile:

  nsenter --net=/run/netns/keysteer-a tcpdump -ni eth0 port 7000

Ctrl-C here ends the agent and removes everything."
    );
}
