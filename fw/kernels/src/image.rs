//! The kernels in the cache, and the initramfs of a guest.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use bailey_kernels::plan::Plan;

use crate::archive::Archive;
use crate::build::Programs;
use crate::modules;
use crate::purpose::Purpose;
use crate::scope::SUITES;

/// A kernel in the cache.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// The release, such as `6.1.0-50-amd64`.
    pub(crate) version: String,
    /// The Debian suite of the kernel, by which the record is ordered.
    pub(crate) suite: String,
    pub(crate) image: PathBuf,
    root: PathBuf,
}

/// The kernels in the cache, the oldest first.
pub(crate) fn kernels(cache: &Path) -> Result<Vec<Kernel>> {
    SUITES
        .into_iter()
        .map(|suite| {
            let folder = cache.join("kernel").join(suite);
            let version = fs::read_to_string(folder.join("version"))
                .with_context(|| format!("no kernel of {suite} in {}", cache.display()))?;
            Ok(Kernel {
                version: version.trim().to_owned(),
                suite: suite.to_owned(),
                image: folder.join("vmlinuz"),
                root: folder.join("root"),
            })
        })
        .collect()
}

/// Modules that the checks need, unless they are built into the kernel.
const MODULES: [&str; 8] = [
    "virtio_pci",
    "virtio_net",
    "igb",
    "veth",
    "bonding",
    "8021q",
    "sch_ingress",
    "cls_bpf",
];
/// Programs of the host that the tests call.
const TOOLS: [&str; 4] = ["ip", "tc", "ethtool", "setpriv"];

/// Writes the initramfs without the plan. Returns its modules in loading order, and its path.
pub(crate) fn build(
    kernel: &Kernel,
    purpose: Purpose,
    programs: &Programs,
    cache: &Path,
) -> Result<(Vec<String>, PathBuf)> {
    let path = cache.join(format!("{}-{purpose:?}.cpio", kernel.suite));
    let mut archive = Archive::create(&path)?;
    archive.file("/init", &fs::read(programs.path("bailey-guest")?)?)?;
    for folder in [
        "/proc", "/sys", "/dev", "/tmp", "/run", "/mnt", "/srv", "/media", "/etc",
    ] {
        archive.folder(folder)?;
    }
    let mut order = Vec::new();
    // On a clock that counts instructions, unpacking the tests takes minutes.
    if purpose != Purpose::InstructionCount {
        add_tests(kernel, programs, &mut archive, &mut order)?;
    }
    archive.finish()?;
    Ok((order, path))
}

/// Adds the files of the tests: programs, configurations, tools, and modules with their loading
/// order.
fn add_tests(
    kernel: &Kernel,
    programs: &Programs,
    archive: &mut Archive,
    order: &mut Vec<String>,
) -> Result<()> {
    for program in programs.paths() {
        archive.file(
            program.to_str().context("a path that is not UTF-8")?,
            &fs::read(program)?,
        )?;
    }
    // The tests read policies and configurations of the project.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    for folder in ["configs", "fw/bailey/tests"] {
        archive.tree(&workspace.join(folder))?;
    }
    for tool in TOOLS {
        add_tool(archive, tool)?;
    }
    let all = modules::find(&kernel.root)?;
    let mut done = BTreeSet::new();
    for module in MODULES {
        modules::add(module, &all, archive, order, &mut done)?;
    }
    Ok(())
}

/// Adds a program of the host and its shared libraries.
fn add_tool(archive: &mut Archive, tool: &str) -> Result<()> {
    let folders = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"];
    let path = folders
        .iter()
        .map(|folder| Path::new(folder).join(tool))
        .find(|path| path.exists());
    let path = path.with_context(|| format!("{tool} is not installed"))?;
    archive.file(&format!("/bin/{tool}"), &fs::read(&path)?)?;
    let output = Command::new("ldd")
        .arg(&path)
        .output()
        .context("cannot run ldd")?;
    for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        if word.starts_with('/') {
            archive.file(word, &fs::read(word)?)?;
        }
    }
    Ok(())
}

/// Writes the initramfs and, after it, an archive with the plan: the kernel unpacks both.
pub(crate) fn append_plan(initramfs: &Path, plan: &Plan, whole: &Path) -> Result<()> {
    let extra = whole.with_extension("plan");
    let mut archive = Archive::create(&extra)?;
    archive.file("/plan.json", &serde_json::to_vec(plan)?)?;
    archive.finish()?;
    fs::copy(initramfs, whole)?;
    let mut out = File::options().append(true).open(whole)?;
    // An archive begins at a multiple of 4 bytes.
    let length = out.metadata()?.len();
    out.write_all(&vec![0; (length.next_multiple_of(512) - length) as usize])?;
    out.write_all(&fs::read(&extra)?)?;
    fs::remove_file(extra)?;
    Ok(())
}
