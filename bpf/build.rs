//! Builds the BPF programs with clang when the `object` feature asks for them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const PROGRAMS: [&str; 3] = ["entry", "policy", "pass"];
const OLDEST_CLANG: u32 = 16;
const NEWEST_CLANG: u32 = 22;

fn main() {
    println!("cargo::rerun-if-changed=abi.h");
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rerun-if-env-changed=BAILEY_CLANG");
    println!("cargo::rerun-if-env-changed=BAILEY_BPF_FLAGS");
    if env::var_os("CARGO_FEATURE_OBJECT").is_none() {
        return;
    }
    let clang = find_clang().unwrap_or_else(|| {
        fail(&format!(
            "clang {OLDEST_CLANG} or newer is needed to build the BPF programs and was not found.\n\
             On Debian and Ubuntu:  apt-get install clang-19 libbpf-dev linux-libc-dev\n\
             Or name one:           BAILEY_CLANG=/path/to/clang cargo build"
        ))
    });
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for program in PROGRAMS {
        compile(&clang, program, &out);
    }
}

/// `BAILEY_CLANG` if set, else the newest clang-N, else a plain clang that is new enough.
fn find_clang() -> Option<String> {
    if let Ok(named) = env::var("BAILEY_CLANG") {
        if version(&named).is_none() {
            fail(&format!("BAILEY_CLANG={named} cannot be run as clang"));
        }
        return Some(named);
    }
    (OLDEST_CLANG..=NEWEST_CLANG)
        .rev()
        .map(|n| format!("clang-{n}"))
        .chain(["clang".to_owned()])
        .find(|name| version(name).is_some_and(|v| v >= OLDEST_CLANG))
}

fn version(clang: &str) -> Option<u32> {
    let output = Command::new(clang).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split("version ").nth(1)?;
    number.split('.').next()?.parse().ok()
}

fn compile(clang: &str, program: &str, out: &Path) {
    let mut command = Command::new(clang);
    // -mcpu=v3: 64-bit atomics and 32-bit jumps, understood since kernel 5.12.
    command
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"])
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])
        .args(["-I", "/usr/include/x86_64-linux-gnu"])
        .args(
            env::var("BAILEY_BPF_FLAGS")
                .iter()
                .flat_map(|flags| flags.split_whitespace()),
        )
        .arg("-c")
        .arg(format!("c/{program}.bpf.c"))
        .arg("-o")
        .arg(out.join(format!("{program}.bpf.o")));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => fail(&format!("cannot run {clang}: {error}")),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let hint = if stderr.contains("file not found") {
            "\nThe headers come with:  apt-get install libbpf-dev linux-libc-dev"
        } else {
            ""
        };
        fail(&format!(
            "{clang} could not build c/{program}.bpf.c:\n{stderr}{hint}"
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
