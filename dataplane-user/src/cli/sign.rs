//! `keysteer sign`

use std::fs::File;
use std::io::{Read as _, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use keysteer_common::shim::{self, Claim, LEN, flag};
use serde::Serialize;

use super::output;
use crate::explain::hex;
use crate::policy;
use crate::signing::{self, SecretKey};

/// Sign a key: make the 24 bytes that a packet carries
///
/// The shim is for the beginning of a UDP payload, or for the data of a Geneve option. Its format
/// is specified in docs/wire-format.md. The node verifies it by its own clock: it is accepted in
/// its epoch (64 seconds), and one epoch before and after.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct SignArgs {
    /// The key, decimal or hexadecimal with 0x
    #[arg(value_name = "KEY", value_parser = key)]
    key: u64,
    /// The file of the secret: 32 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// The secret's public id
    #[arg(long, value_name = "N")]
    secret_id: u8,
    /// When: seconds since 1970, divided by 64, modulo 65536 [default: now]
    #[arg(long, value_name = "N")]
    epoch: Option<u16>,
    /// Bind it to this source address, or to all in its prefix of this length
    #[arg(long, value_name = "ADDR[/LEN]", value_parser = source)]
    source: Option<IpNet>,
    /// Bind it to this destination address
    #[arg(long, value_name = "ADDR")]
    destination: Option<IpAddr>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    /// Write the bytes themselves
    #[arg(long, conflicts_with = "output")]
    raw: bool,
}

/// How a shim is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Hexadecimal digits
    #[default]
    Hex,
    /// One document, with what it says
    Json,
}

/// A shim and what it says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    shim: String,
    key: u64,
    secret_id: u8,
    epoch: u16,
    source: Option<IpNet>,
    destination: Option<IpAddr>,
}

pub(super) fn run(args: &SignArgs) -> anyhow::Result<()> {
    let path = &args.secret_file;
    let secret = read(path).with_context(|| format!("cannot take the secret of {}", path.display()))?;
    let epoch = args.epoch.unwrap_or_else(signing::epoch);
    let bytes = sign(args, secret, epoch);
    let mut out = output::stdout();
    let text = match args.output {
        _ if args.raw => return output::finish(out.write_all(&bytes).and_then(|()| out.flush())),
        Form::Hex => hex(&bytes).to_string(),
        Form::Json => serde_json::to_string_pretty(&Signed {
            shim: hex(&bytes).to_string(),
            key: args.key,
            secret_id: args.secret_id,
            epoch,
            source: args.source,
            destination: args.destination,
        })?,
    };
    output::finish(writeln!(out, "{text}"))
}

/// The secret of a file, of which no more is read than a secret can have.
fn read(path: &Path) -> anyhow::Result<SecretKey> {
    let mut text = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut text)?;
    Ok(SecretKey::parse(&text)?)
}

fn sign(args: &SignArgs, secret: SecretKey, epoch: u16) -> [u8; LEN] {
    let flags = if args.source.is_some() { flag::SOURCE } else { 0 }
        | if args.destination.is_some() { flag::DESTINATION } else { 0 };
    let claim = Claim { flags, secret_id: args.secret_id, epoch, key: args.key };
    let source = args.source.map_or([0; 2], |net| signing::address(net.addr()));
    let destination = args.destination.map_or([0; 2], signing::address);
    shim::to_bytes(shim::sign(secret.words(), claim, source, destination))
}

fn key(text: &str) -> Result<u64, String> {
    let number = policy::number(text)?;
    u64::try_from(number).map_err(|_| format!("{text} is more than a signed key can be: it has 64 bits"))
}

/// A source's prefix; an address in it is as good.
fn source(text: &str) -> Result<IpNet, String> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            "expected an address, or one with the length of its prefix, such as 192.0.2.1/24".to_owned()
        })?,
    };
    match net {
        IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some() => {
            Err("this is an IPv4 address in an IPv6 one: write the IPv4 address".to_owned())
        }
        net => Ok(net.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use keysteer_common::shim::{Secret, Signing, verify};

    use super::*;

    fn args(source: Option<&str>, destination: Option<&str>) -> SignArgs {
        SignArgs {
            key: key("0x2a").unwrap(),
            secret_file: PathBuf::new(),
            secret_id: 3,
            epoch: None,
            source: source.map(|text| super::source(text).unwrap()),
            destination: destination.map(|text| text.parse().unwrap()),
            output: Form::Hex,
            raw: false,
        }
    }

    #[test]
    fn what_is_signed_is_accepted_from_where_it_is_bound_to() {
        let secret = SecretKey::parse(&[b'1'; 32]).unwrap();
        let signing = Signing {
            secrets: [Secret { key: secret.words(), id: 3, live: 1 }, Secret::default()],
            clock_offset: 1_800_000_000_000_000_000,
            source_bits4: 24,
            source_bits6: 48,
            ..Signing::default()
        };
        let accepted = |args: &SignArgs, from: &str, to: &str| {
            let bytes = sign(args, secret, shim::epoch(signing.clock_offset));
            let word = |at: usize| bytes[at..at + 8].try_into().unwrap();
            let block = shim::from_bytes([word(0), word(8), word(16)]);
            assert_eq!(block[1], 42);
            let [from, to] = [from, to].map(|text| signing::address(text.parse().unwrap()));
            verify(&block, &signing, 0, from, to)
        };
        assert!(accepted(&args(None, None), "192.0.2.7", "2001:db8::1"));
        let bound = args(Some("192.0.2.99/24"), Some("198.51.100.1"));
        assert!(accepted(&bound, "192.0.2.7", "198.51.100.1"));
        assert!(!accepted(&bound, "192.0.3.7", "198.51.100.1"));
        assert!(!accepted(&bound, "192.0.2.7", "198.51.100.2"));
        assert!(accepted(&args(Some("2001:db8:1:2::3/48"), None), "2001:db8:1::9", "::1"));
        assert!(!accepted(&args(Some("2001:db8:1:2::3"), None), "2001:db8:1:2::3", "::1"));
    }

    #[test]
    fn keys_and_sources_that_cannot_be_are_refused() {
        assert!(key("18446744073709551615").is_ok());
        for wrong in ["18446744073709551616", "-1", "007", "x", ""] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "192.0.2.1/33", "::ffff:192.0.2.1", "::ffff:192.0.2.0/120", "example.com"] {
            assert!(source(wrong).is_err(), "{wrong}");
        }
    }
}
