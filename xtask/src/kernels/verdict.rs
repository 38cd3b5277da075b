//! What the console of an emulated machine says, judged. What is not said has failed.

/// What the lines begin with that are meant for us.
pub(crate) const MARK: &str = "keysteer-kernels:";

/// What was said.
pub(crate) struct Verdict {
    /// The kernel's version and each suite's result, to be shown.
    pub(crate) said: Vec<String>,
    /// What is wrong, in words; nothing where all is well.
    pub(crate) wrong: Vec<String>,
}

/// Bits of `/proc/sys/kernel/tainted` that say something went wrong: it died, it warned, it got stuck.
const TROUBLE: [(u32, &str); 3] = [(7, "died"), (9, "warned"), (14, "was stuck")];

/// How the line begins in which a suite that did its work says what it did.
const RESULTS: [&str; 2] = ["test result: ok. ", "kernel and host agree on "];

/// Judges a console: the version must be of this line, and every suite must have ended well and said so.
pub(crate) fn of(console: &str, line: &str, suites: &[&str]) -> Verdict {
    let mut verdict = Verdict { said: Vec::new(), wrong: Vec::new() };
    // The firmware leaves a terminal's commands at the beginning, serial lines end in a carriage return.
    let lines: Vec<&str> = console.lines().map(str::trim_end).collect();
    let marked = |kind: &str| {
        let prefix = format!("{MARK} {kind} ");
        lines.iter().position(|line| line.contains(&prefix)).map(|at| {
            let said = lines.get(at).and_then(|line| line.split_once(&prefix)).map_or("", |(_, said)| said);
            (at, said)
        })
    };
    let mut begun = match marked("kernel") {
        Some((at, version)) => {
            verdict.said.push(format!("kernel: {version}"));
            if !version.starts_with(&format!("{line}.")) {
                verdict.wrong.push(format!("it booted {version}"));
            }
            at
        }
        None => {
            verdict.wrong.push("it did not boot".to_owned());
            0
        }
    };
    for suite in suites {
        let Some((at, code)) = marked(&format!("exit {suite}")) else {
            verdict.wrong.push(format!("{suite} did not end"));
            continue;
        };
        let of_suite = lines.get(begun..at).unwrap_or_default();
        begun = at;
        let result = of_suite.iter().find(|line| RESULTS.iter().any(|result| line.starts_with(result)));
        match (code, result) {
            ("0", Some(result)) if !result.contains(" 0 passed") && !result.contains(" on 0 ") => {
                verdict.said.push(format!("{suite}: {result}"));
            }
            ("0", Some(_)) => verdict.wrong.push(format!("{suite} had nothing to run")),
            ("0", None) => verdict.wrong.push(format!("{suite} does not say what it did")),
            _ => {
                verdict.said.extend(told(of_suite).map(|line| format!("{suite}: {line}")));
                verdict.wrong.push(format!("{suite} failed (exit {code})"));
            }
        }
    }
    match marked("tainted").map(|(_, bits)| bits.parse::<u32>()) {
        Some(Ok(bits)) => {
            let trouble = TROUBLE.iter().filter(|(bit, _)| bits >> bit & 1 == 1);
            verdict.wrong.extend(trouble.map(|(_, what)| format!("the kernel {what}")));
        }
        _ => verdict.wrong.push("it did not reach its end".to_owned()),
    }
    verdict
}

/// The lines in which a failed suite says what failed.
fn told<'l>(lines: &'l [&'l str]) -> impl Iterator<Item = &'l str> {
    let tells = |line: &&&str| {
        line.ends_with("FAILED") || line.starts_with("test result:") || line.starts_with("error:")
    };
    lines.iter().filter(tells).copied()
}

#[cfg(test)]
mod tests {
    use super::of;

    const GOOD: &str = "\x1b[2Jfirmware\r\n\
        keysteer-kernels: kernel 6.1.0-9-cloud-amd64\r\n\
        test result: ok. 12 passed; 0 failed; 0 ignored\r\n\
        keysteer-kernels: exit decisions 0\r\n\
        kernel and host agree on 100 packets (3 of captures)\r\n\
        keysteer-kernels: exit differential 0\r\n\
        keysteer-kernels: tainted 0\r\n";

    fn wrong(console: &str) -> Vec<String> {
        of(console, "6.1", &["decisions", "differential"]).wrong
    }

    #[test]
    fn a_console_with_everything_is_well() {
        let verdict = of(GOOD, "6.1", &["decisions", "differential"]);
        assert!(verdict.wrong.is_empty(), "{:?}", verdict.wrong);
        assert_eq!(verdict.said.len(), 3);
    }

    #[test]
    fn each_thing_that_is_missing_or_bad_is_seen() {
        for (from, to, expected) in [
            ("6.1.0-9", "6.12.9", "it booted 6.12.9-cloud-amd64"),
            ("keysteer-kernels: kernel", "panic", "it did not boot"),
            ("decisions 0", "decisions 101", "decisions failed (exit 101)"),
            ("exit decisions", "panic", "decisions did not end"),
            ("12 passed", "0 passed", "decisions had nothing to run"),
            ("test result: ok.", "?", "decisions does not say what it did"),
            ("kernel and host agree", "?", "differential does not say what it did"),
            ("exit differential", "panic", "differential did not end"),
            ("tainted 0", "tainted 512", "the kernel warned"),
            ("tainted 0", "tainted 128", "the kernel died"),
            ("keysteer-kernels: tainted", "panic", "it did not reach its end"),
        ] {
            assert_eq!(wrong(&GOOD.replace(from, to)), [expected], "{from} -> {to}");
        }
        assert_eq!(wrong("").len(), 4);
    }
}
