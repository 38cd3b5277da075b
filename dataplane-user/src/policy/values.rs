//! The small languages inside the document: numbers, prefixes, MAC addresses, services, names, widths.
//! The same for YAML and for CSV.

use std::net::IpAddr;

use ipnet::IpNet;
use keysteer_common::tables::Service;

use super::diagnostic::Problem;
use super::model::Width;
use super::share::Share;

/// A whole number, decimal or hexadecimal with `0x`.
pub(super) fn number(text: &str) -> Result<u128, Problem> {
    let digits = |digits: &str, radix| {
        // `from_str_radix` would take a sign.
        if !digits.starts_with(|first: char| first.is_digit(radix)) {
            return None;
        }
        // Dividing numbers of 128 bits is slow, and most are short.
        match digits.len() {
            0..16 => u64::from_str_radix(digits, radix).ok().map(u128::from),
            _ => u128::from_str_radix(digits, radix).ok(),
        }
    };
    let found = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hexadecimal) => digits(hexadecimal, 16),
        None if text.len() > 1 && text.starts_with('0') => {
            return Err(format!(
                "\"{text}\" begins with 0, which could mean octal: write a decimal number without it, or 0x..."
            )
            .into());
        }
        None => digits(text, 10),
    };
    found.ok_or_else(|| format!("\"{text}\" is not a number: expected decimal such as 34, or 0x22").into())
}

/// An address prefix; a bare address is one of its full length.
pub(super) fn prefix(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = text.parse().map_err(|_| {
        Problem::from(format!(
            "\"{text}\" is not an address prefix: expected one such as 10.1.0.0/16 or 2001:db8::/32"
        ))
    })?;
    let trimmed = net.trunc();
    if trimmed == net {
        Ok(net)
    } else {
        Err(Problem::with_suggestion(
            format!("\"{text}\" has bits set beyond its length"),
            trimmed.to_string(),
        ))
    }
}

/// Address prefixes, with spaces between them.
pub(super) fn prefixes(text: &str) -> Result<Vec<IpNet>, Problem> {
    text.split_whitespace().map(prefix).collect()
}

/// A MAC address such as `02:00:00:00:00:0a`.
pub(super) fn mac(text: &str) -> Result<[u8; 6], Problem> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        *byte = parts
            .next()
            .filter(|part| part.len() == 2 && part.chars().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|part| u8::from_str_radix(part, 16).ok())
            .ok_or_else(|| not_a_mac(text))?;
    }
    if parts.next().is_some() { Err(not_a_mac(text)) } else { Ok(bytes) }
}

fn not_a_mac(text: &str) -> Problem {
    format!("\"{text}\" is not a MAC address: expected six bytes such as 02:00:00:00:00:0a").into()
}

/// The MAC address of one station, to which frames can be sent.
pub(super) fn station(text: &str) -> Result<[u8; 6], Problem> {
    let mac = mac(text)?;
    match mac {
        [0, 0, 0, 0, 0, 0] => Err(format!("\"{text}\" is no station's address").into()),
        [first, ..] if first & 1 == 1 => {
            Err(format!("\"{text}\" is a group address, not one station's").into())
        }
        _ => Ok(mac),
    }
}

/// Protocols that services name; the flag is whether they have ports.
pub(super) const PROTOCOLS: [(&str, u8, bool); 5] =
    [("tcp", 6, true), ("udp", 17, true), ("sctp", 132, true), ("icmp", 1, false), ("icmpv6", 58, false)];

/// What a service says: everything, or a protocol and its ports.
pub(super) fn service(text: &str) -> Result<Option<Service>, Problem> {
    if text == "any" {
        return Ok(None);
    }
    let (name, ports) = match text.split_once('/') {
        Some((name, ports)) => (name, Some(ports)),
        None => (text, None),
    };
    let Some((_, protocol, has_ports)) = PROTOCOLS.iter().find(|(known, ..)| *known == name) else {
        let known = PROTOCOLS.iter().map(|(known, ..)| *known).chain(["any"]);
        return Err(Problem::unknown("protocol", name, known));
    };
    let all = Service::new(*protocol, 0, u16::MAX);
    let Some(ports) = ports else {
        return Ok(Some(all));
    };
    if !has_ports {
        return Err(Problem::with_suggestion(format!("{name} has no ports"), name));
    }
    let port = |text: &str| {
        number(text).ok().and_then(|port| u16::try_from(port).ok()).ok_or_else(|| {
            Problem::from(format!(
                "\"{text}\" is not a port: expected 0 to 65535, or a range such as 1000-2000"
            ))
        })
    };
    let (low, high) = match ports.split_once('-') {
        Some((low, high)) => (port(low)?, port(high)?),
        None => (port(ports)?, port(ports)?),
    };
    if low > high {
        return Err(Problem::with_suggestion(
            format!("the range {low}-{high} ends before it begins"),
            format!("{name}/{high}-{low}"),
        ));
    }
    Ok(Some(Service::new(*protocol, low, high)))
}

/// A service as the policy writes it.
pub(crate) fn service_text(service: &Service) -> String {
    let name = protocol_text(service.protocol());
    match service.ports() {
        _ if service.any_port() => name,
        (low, high) if low == high => format!("{name}/{low}"),
        (low, high) => format!("{name}/{low}-{high}"),
    }
}

/// A protocol as the policy writes it; its number where the policy cannot name it.
pub(crate) fn protocol_text(number: u8) -> String {
    let known = PROTOCOLS.iter().find(|(_, protocol, _)| *protocol == number);
    known.map_or_else(|| number.to_string(), |(name, ..)| (*name).to_owned())
}

/// The protocol that a text names, and whether it has ports.
pub(crate) fn protocol(text: &str) -> Option<(u8, bool)> {
    PROTOCOLS.iter().find(|(known, ..)| *known == text).map(|(_, number, ports)| (*number, *ports))
}

/// The longest name of a thing.
pub(super) const NAME: usize = 63;
/// The longest free text, such as a key's name.
pub(super) const TEXT: usize = 256;

/// The name of a shard, pool, tier, table, field or environment: it becomes a label, a column or a path.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let well_formed = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && text.len() <= NAME;
    if well_formed {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{}\" cannot be a name: expected 1 to {NAME} letters, digits, '-', '_' or '.', the first a letter or digit",
        text.escape_debug()
    )
    .into())
}

/// Free text of one line: the name of a key, a label, an owner.
pub(super) fn free_text(text: &str) -> Result<&str, Problem> {
    let problem = if text.is_empty() {
        "must not be empty"
    } else if text.chars().nth(TEXT).is_some() {
        return Err(format!("is longer than {TEXT} characters").into());
    } else if text.chars().any(char::is_control) {
        "must not hold control characters"
    } else if text.trim() != text {
        return Err(Problem::with_suggestion("begins or ends with a blank", text.trim()));
    } else {
        return Ok(text);
    };
    Err(problem.into())
}

/// The name of a network interface, as the kernel allows it.
pub(super) fn interface(text: &str) -> Result<String, Problem> {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    if (1..=15).contains(&text.len()) && text.chars().all(allowed) && text != "." && text != ".." {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{}\" cannot be an interface's name: expected 1 to 15 characters without blanks, '/' and ':'",
        text.escape_debug()
    )
    .into())
}

/// A width: a number of shards, or `all`.
pub(super) fn width(text: &str) -> Result<Width, Problem> {
    if text == "all" {
        return Ok(Width::All);
    }
    match number(text).ok().and_then(|number| u16::try_from(number).ok()) {
        Some(0) => Err("a width of 0 leaves no shard: expected 1 or more, or \"all\"".into()),
        Some(width) => Ok(Width::Shards(width)),
        None => Err(format!("\"{text}\" is not a width: expected a whole number from 1, or \"all\"").into()),
    }
}

/// A share such as `40%`.
pub(super) fn share(text: &str) -> Result<Share, Problem> {
    Share::parse(text).ok_or_else(|| {
        format!("\"{text}\" is not a share: expected one such as 40% or 12.5%, with at most four decimals")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("34"), Ok(34));
        assert_eq!(number("0x22"), Ok(34));
        assert_eq!(number("0"), Ok(0));
        assert_eq!(number(&u128::MAX.to_string()), Ok(u128::MAX));
        for wrong in
            ["", "+3", "-1", "034", "0x", "1_000", "3.5", "1e3", "340282366920938463463374607431768211456"]
        {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prefixes_have_no_stray_bits() {
        assert_eq!(prefix("10.0.0.0/8").map(|net| net.to_string()), Ok("10.0.0.0/8".into()));
        assert_eq!(prefix("10.0.0.1").map(|net| net.to_string()), Ok("10.0.0.1/32".into()));
        assert_eq!(prefix("::/0").map(|net| net.to_string()), Ok("::/0".into()));
        assert_eq!(prefix("10.0.0.1/8").unwrap_err().suggestion.as_deref(), Some("10.0.0.0/8"));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "x/8", "2001::/129"] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn services_read_as_they_are_written() {
        for text in ["tcp/443", "udp/1000-2000", "sctp/2905", "tcp", "udp", "icmp", "icmpv6"] {
            assert_eq!(service_text(&service(text).unwrap().unwrap()), text);
        }
        assert_eq!(service("any"), Ok(None));
        for wrong in ["", "tpc/443", "tcp/", "tcp/65536", "tcp/2-1", "icmp/8", "tcp/443/1", "ANY"] {
            assert!(service(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_addresses_are_checked() {
        assert!(name("general-2.a_b").is_ok());
        for wrong in ["", "-a", "a b", "ä", "a/b"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert_eq!(mac("02:00:00:00:00:0a"), Ok([2, 0, 0, 0, 0, 10]));
        assert!(mac("02:00:00:00:00").is_err() && mac("2:0:0:0:0:a").is_err());
        assert!(station("01:00:5e:00:00:01").is_err() && station("00:00:00:00:00:00").is_err());
        assert!(interface("veth-a").is_ok() && interface("a234567890123456").is_err());
        assert!(free_text("Möbel & Söhne").is_ok() && free_text(" x").is_err());
    }
}
