//! Kernels from Debian. Which one is the newest of a line is found when asked; the machine's own
//! configuration of apt is read for the mirror and left as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::shell::{output, run};

/// A line of kernels.
pub(crate) struct Line {
    /// The first two numbers of its versions.
    pub(crate) name: &'static str,
    /// The release of Debian that has it.
    release: &'static str,
}

/// The oldest that is supported, and the one of Debian's stable release.
pub(crate) const LINES: [Line; 2] =
    [Line { name: "6.1", release: "bookworm" }, Line { name: "6.12", release: "trixie" }];

/// A kernel, unpacked.
pub(crate) struct Kernel {
    /// Name of the package that it is from.
    pub(crate) package: String,
    /// What is booted.
    pub(crate) image: PathBuf,
    /// The top of its modules.
    pub(crate) modules: PathBuf,
}

/// Where Debian is where apt does not know a mirror of it.
const MIRROR: &str = "http://deb.debian.org/debian";
/// What its releases are signed by.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Brings the lists of packages up to date. Without a network, what is there must do.
pub(crate) fn refresh(folder: &Path) {
    if let Err(error) = try_refresh(folder) {
        println!("the lists of kernels cannot be brought up to date: {error:#}");
    }
}

fn try_refresh(folder: &Path) -> Result<()> {
    let apt = folder.join("apt");
    for empty in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(empty))?;
    }
    if !Path::new(KEYRING).exists() {
        bail!("there is no {KEYRING}: install debian-archive-keyring");
    }
    let main = mirror("Debian").unwrap_or_else(|| MIRROR.to_owned());
    let security = mirror("Debian-Security").unwrap_or_else(|| format!("{MIRROR}-security"));
    let mut sources = String::new();
    for Line { release, .. } in &LINES {
        for (mirror, suite) in [(&main, (*release).to_owned()), (&security, format!("{release}-security"))] {
            sources += &format!("deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main\n");
        }
    }
    fs::write(apt.join("sources.list"), sources)?;
    run(with_own_state(Command::new("apt-get"), folder).args(["update", "--quiet=2"]))
}

/// Where apt gets the packages with this label of Debian from.
fn mirror(label: &str) -> Option<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]);
    let found = output(command.arg(format!("Label: {label}"))).ok()?;
    found.lines().next().map(|address| address.trim_end_matches('/').to_owned())
}

/// A program of apt that reads and writes lists of our own. Proxies and the like stay the machine's.
fn with_own_state(mut apt: Command, folder: &Path) -> Command {
    let apt_folder = folder.join("apt");
    let at = |name: &str| apt_folder.join(name).display().to_string();
    for (option, value) in [
        ("Dir::Etc::sourcelist", at("sources.list")),
        ("Dir::Etc::sourceparts", "/dev/null".to_owned()),
        ("Dir::Etc::preferences", "/dev/null".to_owned()),
        ("Dir::Etc::preferencesparts", "/dev/null".to_owned()),
        ("Dir::State", at("state")),
        ("Dir::Cache", at("cache")),
        // The user that downloads for root cannot write here.
        ("APT::Sandbox::User", "root".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
        ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false".to_owned()),
        ("APT::Update::Error-Mode", "any".to_owned()),
    ] {
        apt.arg("-o").arg(format!("{option}={value}"));
    }
    // Hooks of the machine are about the machine's lists.
    apt.args(["-o", "#clear=APT::Update::Post-Invoke-Success", "-o", "#clear=APT::Update::Post-Invoke"]);
    apt
}

/// The newest kernel of a line: the one that Debian has or, where it cannot be asked, that is here.
pub(crate) fn fetch(line: &Line, folder: &Path) -> Result<Kernel> {
    let offered = offered(line, folder).and_then(|package| {
        if !folder.join(&package).exists() {
            download(&package, folder)?;
        }
        Ok(package)
    });
    let package = match offered {
        Ok(package) => package,
        Err(error) => {
            let here = here(line, folder)?.with_context(|| format!("no kernel: {error:#}"))?;
            println!("{}: {error:#}; {here} is here", line.name);
            here
        }
    };
    let top = folder.join(&package);
    let image = only(&top.join("boot"), "vmlinuz-")?;
    // A release in which /usr is merged has its modules there.
    let modules = ["usr/lib/modules", "lib/modules"].map(|place| top.join(place));
    let modules = modules.into_iter().find(|place| place.exists()).context("the package has no modules")?;
    Ok(Kernel { package, image, modules })
}

/// The name of the newest package of a line that Debian has.
fn offered(line: &Line, folder: &Path) -> Result<String> {
    let pattern =
        format!("^linux-image-{}\\.[0-9.]+[-+][a-z0-9.]+-cloud-amd64$", line.name.replace('.', "\\."));
    let mut search = with_own_state(Command::new("apt-cache"), folder);
    let found = output(search.args(["search", "--names-only", &pattern]))?;
    let names = found.lines().filter_map(|line| line.split_whitespace().next());
    newest(names).with_context(|| format!("Debian has no kernel {}", line.name))
}

/// The newest kernel of a line that was unpacked before.
fn here(line: &Line, folder: &Path) -> Result<Option<String>> {
    let prefix = format!("linux-image-{}.", line.name);
    let entries =
        fs::read_dir(folder)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names: Vec<String> =
        entries.filter(|name| name.starts_with(&prefix) && name.ends_with("-cloud-amd64")).collect();
    Ok(newest(names.iter().map(String::as_str)))
}

/// The name with the greatest version in it: numbers are compared as numbers.
fn newest<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    let version = |name: &&str| -> Vec<u64> {
        let of_image = name.trim_end_matches("-cloud-amd64");
        of_image.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    };
    names.max_by_key(version).map(str::to_owned)
}

/// Downloads and unpacks; the folder appears when it is complete.
fn download(package: &str, folder: &Path) -> Result<()> {
    println!("getting {package}");
    let temporary = folder.join("download");
    if temporary.exists() {
        fs::remove_dir_all(&temporary)?;
    }
    fs::create_dir_all(&temporary)?;
    let mut apt = with_own_state(Command::new("apt-get"), folder);
    run(apt.current_dir(&temporary).args(["download", "--quiet=2", package]))?;
    let archive = only(&temporary, package)?;
    let unpacked = temporary.join("unpacked");
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
    fs::rename(&unpacked, folder.join(package))?;
    fs::remove_dir_all(&temporary)?;
    Ok(())
}

/// The only entry of a folder whose name begins like this.
fn only(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    match found.as_slice() {
        [path] => Ok(path.clone()),
        _ => Err(anyhow!("{} has {} of {prefix}", folder.display(), found.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn versions_are_compared_as_numbers() {
        let of = |names: &[&str]| newest(names.iter().copied()).unwrap_or_default();
        let nine = "linux-image-6.1.0-9-cloud-amd64";
        let ten = "linux-image-6.1.0-10-cloud-amd64";
        assert_eq!(of(&[nine, ten]), ten);
        let first = "linux-image-6.12.115+deb13-cloud-amd64";
        let again = "linux-image-6.12.115+deb13.1-cloud-amd64";
        assert_eq!(of(&[again, first]), again);
        assert_eq!(
            of(&["linux-image-6.12.117+deb13-cloud-amd64", again]),
            "linux-image-6.12.117+deb13-cloud-amd64"
        );
    }
}
