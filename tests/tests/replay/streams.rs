//! Where captures come from and where lines go.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use keysteer_tests::captures::{self, own};
use keysteer_tests::site::binary::{Said, keysteer, run};
use serde_json::Value;

use super::{TENANTS, lines, of, replay};

#[test]
fn a_file_stdin_and_gzip_give_the_same_lines() {
    let file = own().join("ipv4.pcap");
    let (wanted, sums) = lines(of(replay("host", TENANTS, "jsonl"), &[&file]));
    assert!(wanted.len() > 10 && sums.contains("packets"), "{sums}");
    let from = |path| {
        let mut command = replay("host", TENANTS, "jsonl");
        command.arg("-").stdin(File::open(path).unwrap());
        lines(run(&mut command)).0
    };
    assert_eq!(from(file.clone()), wanted);

    let directory = tempfile::tempdir().unwrap();
    let packed = directory.path().join("ipv4.pcap.gz");
    let mut gzip = GzEncoder::new(File::create(&packed).unwrap(), Compression::best());
    gzip.write_all(&fs::read(&file).unwrap()).unwrap();
    gzip.finish().unwrap();
    assert_eq!(lines(of(replay("host", TENANTS, "jsonl"), &[&packed])).0, wanted);
    assert_eq!(from(packed), wanted);
}

#[test]
fn several_captures_are_one() {
    let [a, b] = ["ipv4.pcap", "ipv6.pcap"].map(|name| own().join(name));
    let lines = |captures: &[_]| lines(of(replay("host", TENANTS, "jsonl"), captures)).0;
    let (first, both) = (lines(std::slice::from_ref(&a)), lines(&[a.clone(), b.clone()]));
    let second = lines(&[b]);
    assert_eq!(both.len(), first.len() + second.len());
    assert!(both.starts_with(&first));
    for (number, line) in (1..).zip(&both) {
        assert!(line.starts_with(&format!("{{\"packet\":{number},")), "{line}");
    }
}

#[test]
fn json_is_one_document_of_the_same_objects() {
    let captures = captures::files(&own());
    let (wanted, sums) = lines(of(replay("host", TENANTS, "jsonl"), &captures));
    let wanted: Vec<Value> = wanted.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = of(replay("host", TENANTS, "json"), &captures);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&said.out).unwrap(), wanted);
    assert_eq!(said.err, sums);
    // The sums alone, as data.
    assert_eq!(of(replay("host", TENANTS, "table"), &captures).data(), sums);
    assert!(!sums.contains(['\r', '\x1b']), "no progress but on a terminal: {sums:?}");
}

/// What comes by a pipe is told as it comes, not when the pipe ends.
#[test]
fn lines_come_as_packets_do() {
    let bytes = fs::read(own().join("ipv4.pcap")).unwrap();
    let mut command = replay("kernel", TENANTS, "jsonl");
    let child = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let length = u32::from_le_bytes(bytes[32..36].try_into().unwrap()) as usize;
    to.write_all(&bytes[..40 + length]).unwrap();
    let mut first = [0; 11];
    from.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{\"packet\":1");
    drop(to);
    let mut rest = String::new();
    from.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("}\n") && rest.lines().count() == 1, "{rest}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let many = directory.path().join("many.pcap");
    let frames = captures::folder(&own()).unwrap();
    let frames = frames.iter().map(Vec::as_slice).cycle().take(20_000);
    fs::write(&many, captures::pcap(frames)).unwrap();
    for output in ["jsonl", "json"] {
        let script = format!(
            "{} replay --engine host --policy {TENANTS} -o {output} {}; echo $? >&2",
            keysteer().display(),
            many.display()
        );
        let said: Said =
            run(std::process::Command::new("sh").arg("-c").arg(format!("({script}) | head -n 1")));
        assert_eq!((said.out.lines().count(), said.err.as_str()), (1, "0\n"), "{said:?}");
    }
}
