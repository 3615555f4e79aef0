use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bailey_kernels::plan::Plan;
use cpio::newc;

use crate::build::Programs;
use crate::purpose::Purpose;
use crate::scope::SUITES;

/// One of the kernels in the cache.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// `6.1.0-50-amd64`
    pub(crate) version: String,
    /// The suite it came from: what rows of the record go by.
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

/// Modules that the checks need, where they are not built in.
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

/// Writes the initramfs, but for the plan: the modules in loading order, and its path.
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
    let mut modules = Vec::new();
    // With a clock that counts instructions, unpacking the rest takes minutes.
    if purpose != Purpose::InstructionCount {
        add_tests(kernel, programs, &mut archive, &mut modules)?;
    }
    archive.finish()?;
    Ok((modules, path))
}

/// What tests need: their programs and files, tools and modules, these in loading order.
fn add_tests(
    kernel: &Kernel,
    programs: &Programs,
    archive: &mut Archive,
    modules: &mut Vec<String>,
) -> Result<()> {
    for program in programs.paths() {
        archive.file(
            program.to_str().context("a path that is no text")?,
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
    let all = find_modules(&kernel.root)?;
    let mut done = BTreeSet::new();
    for module in MODULES {
        add_module(module, &all, archive, modules, &mut done)?;
    }
    Ok(())
}

/// An initramfs in the making.
struct Archive {
    out: Option<BufWriter<File>>,
    known: BTreeSet<String>,
}

impl Archive {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            out: Some(BufWriter::new(file)),
            known: BTreeSet::new(),
        })
    }

    fn add(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        if !self.known.insert(path.to_owned()) {
            return Ok(());
        }
        if let Some(parent) = Path::new(path).parent().and_then(Path::to_str)
            && parent != "/"
        {
            self.folder(parent)?;
        }
        let out = self.out.take().context("the archive is closed")?;
        let name = path.trim_start_matches('/');
        let mut entry = newc::Builder::new(name)
            .mode(mode)
            .write(out, bytes.len() as u32);
        entry.write_all(bytes)?;
        self.out = Some(entry.finish()?);
        Ok(())
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.add(path, 0o100_755, bytes)
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        self.add(path, 0o040_755, &[])
    }

    fn tree(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.tree(&path)?;
            } else {
                self.file(
                    path.to_str().context("a path that is no text")?,
                    &fs::read(&path)?,
                )?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let out = self.out.take().context("the archive is closed")?;
        newc::trailer(out)?.flush()?;
        Ok(())
    }
}

/// A program of the host with the libraries it asks for.
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

fn find_modules(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(".ko") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn module_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko")
        .next()
        .unwrap_or_default()
        .replace('-', "_")
}

/// A module after those that it depends on.
fn add_module(
    name: &str,
    all: &[PathBuf],
    archive: &mut Archive,
    order: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Result<()> {
    if !done.insert(name.to_owned()) {
        return Ok(());
    }
    // Else it is built in.
    let Some(path) = all.iter().find(|path| module_name(path) == name) else {
        return Ok(());
    };
    let bytes = if path.extension().is_some_and(|extension| extension == "xz") {
        let output = Command::new("xz")
            .args(["-dc"])
            .arg(path)
            .output()
            .context("cannot run xz")?;
        ensure!(
            output.status.success(),
            "xz cannot unpack {}",
            path.display()
        );
        output.stdout
    } else {
        fs::read(path)?
    };
    for dependency in depends(&bytes) {
        add_module(&dependency, all, archive, order, done)?;
    }
    let inside = format!("/modules/{name}.ko");
    archive.file(&inside, &bytes)?;
    order.push(inside);
    Ok(())
}

/// The `depends=` of a module's information section.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let text = &module[at + KEY.len()..];
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(0);
    let names = String::from_utf8_lossy(&text[..end]).into_owned();
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

/// The initramfs with a plan after it.
pub(crate) fn append_plan(initramfs: &Path, plan: &Plan, whole: &Path) -> Result<()> {
    let extra = whole.with_extension("plan");
    let mut archive = Archive::create(&extra)?;
    archive.file("/plan.json", &serde_json::to_vec(plan)?)?;
    archive.finish()?;
    fs::copy(initramfs, whole)?;
    let mut out = File::options().append(true).open(whole)?;
    // Archives begin at multiples of 4 bytes.
    let length = out.metadata()?.len();
    out.write_all(&vec![0; (length.next_multiple_of(512) - length) as usize])?;
    out.write_all(&fs::read(&extra)?)?;
    fs::remove_file(extra)?;
    Ok(())
}
