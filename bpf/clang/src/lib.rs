//! Compiles BPF programs with clang, for build scripts. Failures become cargo errors that name the
//! fix.
#![forbid(unsafe_code)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const OLDEST: u32 = 16;
const NEWEST: u32 = 22;

/// Compiles `folder/NAME.bpf.c` to `NAME.bpf.o` in the build script's `OUT_DIR`, for each of `names`.
/// Ends the build script with an error if clang is missing or fails.
pub fn build(folder: &str, names: &[&str]) {
    println!("cargo::rerun-if-changed={folder}");
    println!("cargo::rerun-if-env-changed=BAILEY_CLANG");
    println!("cargo::rerun-if-env-changed=BAILEY_BPF_FLAGS");
    let clang = find().unwrap_or_else(|| {
        fail(&format!(
            "clang {OLDEST} or newer not found; building the BPF programs requires it.\n\
             On Debian and Ubuntu:  apt-get install clang-19 libbpf-dev linux-libc-dev\n\
             Or choose one:         BAILEY_CLANG=/path/to/clang cargo build"
        ))
    });
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        fail("OUT_DIR is not set; call this from a build script");
    };
    for name in names {
        compile(&clang, folder, name, &out);
    }
}

/// `BAILEY_CLANG` if set, else the newest clang-N, else `clang` if its version suffices.
fn find() -> Option<String> {
    if let Ok(named) = env::var("BAILEY_CLANG") {
        if version(&named).is_none() {
            fail(&format!("BAILEY_CLANG={named} is not an executable clang"));
        }
        return Some(named);
    }
    (OLDEST..=NEWEST)
        .rev()
        .map(|n| format!("clang-{n}"))
        .chain(["clang".to_owned()])
        .find(|name| version(name).is_some_and(|v| v >= OLDEST))
}

fn version(clang: &str) -> Option<u32> {
    let output = Command::new(clang).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split("version ").nth(1)?;
    number.split('.').next()?.parse().ok()
}

fn compile(clang: &str, folder: &str, name: &str, out: &Path) {
    let source = format!("{folder}/{name}.bpf.c");
    let mut command = Command::new(clang);
    // -mcpu=v3: 64-bit atomics and 32-bit jumps, which Linux 5.12 and later supports.
    command
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"])
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])
        .args(["-I", folder, "-I", "/usr/include/x86_64-linux-gnu"])
        .args(
            env::var("BAILEY_BPF_FLAGS")
                .iter()
                .flat_map(|flags| flags.split_whitespace()),
        )
        .arg("-c")
        .arg(&source)
        .arg("-o")
        .arg(out.join(format!("{name}.bpf.o")));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => fail(&format!("could not run {clang}: {error}")),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let hint = if stderr.contains("file not found") {
            "\nThe headers come with:  apt-get install libbpf-dev linux-libc-dev"
        } else {
            ""
        };
        fail(&format!(
            "{clang} could not build {source}:\n{stderr}{hint}"
        ));
    }
}

fn fail(message: &str) -> ! {
    eprintln!("\nerror: {message}\n");
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    exit(1)
}
