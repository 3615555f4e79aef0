//! The console in a terminal, against a running daemon.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use bailey_tui::model::View;
use demo_lab::*;
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// A console in a pseudo-terminal, and the screen that it draws there.
struct Console {
    child: Child,
    terminal: Option<File>,
    screen: Arc<Mutex<vt100::Parser>>,
    is_closed: Arc<AtomicBool>,
    drawing: Option<JoinHandle<()>>,
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize {
        ws_col: columns,
        ws_row: lines,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Console {
    fn start(lab: &Lab, columns: u16, lines: u16, options: &[&str]) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, size(columns, lines)).unwrap();
        let slave = ptsname(&master, Vec::new()).unwrap();
        let slave = open(
            slave,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let (config, home) = (lab.root().join("bailey.toml"), lab.root().join("home"));
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let child = lab.node.run(move || {
            let end = || Stdio::from(slave.try_clone().unwrap());
            // A session of its own, with the pseudo-terminal as its terminal.
            Command::new("setsid")
                .args(["--ctty", "--wait"])
                .arg(binary())
                .arg("tui")
                .args(options)
                .arg("--config")
                .arg(config)
                .env("XDG_STATE_HOME", home)
                .env("TERM", "xterm-256color")
                .env("LANG", "C.UTF-8")
                .stdin(end())
                .stdout(end())
                .stderr(end())
                .spawn()
                .unwrap()
        });
        let terminal = File::from(master);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(lines, columns, 0)));
        let (mut reader, parser) = (terminal.try_clone().unwrap(), Arc::clone(&screen));
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&is_closed);
        let drawing = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !closed.load(Ordering::Relaxed) {
                let mut ready = [PollFd::new(&reader, PollFlags::IN)];
                let short = Timespec {
                    tv_sec: 0,
                    tv_nsec: 50_000_000,
                };
                if !matches!(poll(&mut ready, Some(&short)), Ok(1..)) {
                    continue;
                }
                match reader.read(&mut buffer) {
                    Ok(count @ 1..) => parser.lock().unwrap().process(&buffer[..count]),
                    _ => return,
                }
            }
        });
        Self {
            child,
            terminal: Some(terminal),
            screen,
            is_closed,
            drawing: Some(drawing),
        }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn press(&mut self, keys: &str) {
        self.terminal
            .as_mut()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
    }

    /// Closes the terminal, as a lost connection does.
    fn hang_up(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.drawing.take().unwrap().join().unwrap();
        self.terminal = None;
    }

    fn modes(&self) -> LocalModes {
        tcgetattr(self.terminal.as_ref().unwrap())
            .unwrap()
            .local_modes
    }

    fn shows(&self, text: &str) {
        wait_until(&format!("{text:?} on the screen"), || {
            self.text().contains(text)
        });
    }

    fn resize(&self, columns: u16, lines: u16) {
        tcsetwinsize(self.terminal.as_ref().unwrap(), size(columns, lines)).unwrap();
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(lines, columns);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        eprintln!("{}", self.text());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(lab: &Lab, from: &str) -> Observed {
    let family = usize::from(from.contains(':'));
    traffic::tcp(&lab.outside, ip(from), at(DB[family], 5432))
}

#[test]
#[ignore = "needs root and BPF"]
fn operator_finds_the_rule_that_drops() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    wait_for_socket(&lab);
    let mut console = Console::start(&lab, 80, 24, &[]);
    console.shows("ENFORCE");
    console.shows("top rules by packets/s");
    for _ in 0..4 {
        assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
    }
    // The last packets name the rule that dropped the connection.
    console.press("5");
    console.shows("[5 Drops]");
    console.shows("policy on nic0");
    console.press("\r");
    console.shows("[3 Flows]");
    console.shows("198.51.100.20:");
    console.shows("filter reason:policy");
    // The rule, its numbers, and its last packets.
    console.press("2/default-deny in\r");
    console.shows("[2 Rules]");
    console.shows("default-deny in, shop: what it denied last");
    console.press("g");
    console.shows("▌-");
    let hits = json(&lab, "rules")["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["rule"] == "shop default-deny in (2 policies)")
        .unwrap()["packets"]
        .as_u64()
        .unwrap();
    assert!(hits >= 4);
    // Keys without effect get a sentence; help comes from the table of keys.
    console.press("?");
    console.shows("keys; ? or esc closes");
    console.press("\x1b");
    console.shows("what it denied last");
    console.press("B");
    console.shows("this console only reads");
    console.press("c");
    console.shows("no confirmations");

    // The daemon dies: the data stays, marked as old; and comes back.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    console.shows("STALE");
    assert!(
        console.text().contains("shop default-deny in"),
        "{}",
        console.text()
    );
    let _daemon = start(&lab, "");
    console.shows("  live  ");
    console.press("q");
    assert!(console.child.wait().unwrap().success());
}

#[test]
#[ignore = "needs root and BPF"]
fn keys_block_sources_and_end_flows() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let mut console = Console::start(&lab, 120, 40, &["--rw", "--view", "flows"]);
    assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
    console.press("/src:198.51.100.0/24\r");
    console.shows("198.51.100.20:");
    console.press("gB");
    console.shows("block 198.51.100.20 for 1h");
    console.press("203.\r");
    console.shows("nothing has changed");
    assert_eq!(json(&lab, "blocks")["blocks"].as_array().unwrap().len(), 0);
    console.press("B198.51\r");
    console.shows("198.51.100.20 blocked for 1h");
    assert_eq!(json(&lab, "blocks")["blocks"][0]["reason"], "console");
    console.press("8");
    console.shows("198.51.100.20");

    // A flow of the backup machine, asked about and ended.
    assert_eq!(connect(&lab, BACKUP[0]), Observed::Allowed);
    console.press("4/dst:10.42.0.12/32\r");
    console.shows("flows 1-1 of");
    console.press("ge");
    console.shows("now: 203.0.113.10 to 10.42.0.12:5432/TCP");
    console.shows("policy    ALLOW");
    console.press("\x1bx");
    console.shows("end 1 flows of 203.0.113.10 to 10.42.0.12:5432/TCP");
    console.press("203.0\r");
    wait_until("the flow is gone", || {
        let flows = json(&lab, "conntrack list");
        let mut flows = flows["flows"].as_array().unwrap().iter();
        !flows.any(|flow| flow["destination"] == "10.42.0.12")
    });
    console.press("Q");
    assert!(console.child.wait().unwrap().success());
    // The last screen stays, and the filters return.
    console.shows("[4 Conntrack]");
    let mut console = Console::start(&lab, 120, 40, &["--view", "conntrack"]);
    console.shows("filter dst:10.42.0.12/32");
    console.press("q");
    assert!(console.child.wait().unwrap().success());
}

#[test]
#[ignore = "needs root and BPF"]
fn terminal_survives_sizes_and_ends() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let mut console = Console::start(&lab, 120, 40, &["--view", "conntrack"]);
    console.shows("[4 Conntrack]");
    let raw = console.modes();
    for round in 0..100_u16 {
        console.resize(60 + round % 141, 15 + round % 46);
    }
    console.resize(80, 24);
    console.shows("[4 Conn]");
    console.resize(50, 10);
    console.shows("the console needs 60x15");
    console.resize(80, 24);
    console.shows("[4 Conn]");
    console.press("q");
    assert!(console.child.wait().unwrap().success());
    let cooked = console.modes();
    assert!(!raw.contains(LocalModes::ICANON));
    assert!(cooked.contains(LocalModes::ICANON | LocalModes::ECHO));

    // The terminal goes away under the console: the process ends.
    let mut console = Console::start(&lab, 80, 24, &[]);
    console.shows("ENFORCE");
    console.hang_up();
    let begun = Instant::now();
    console.child.wait().unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn signal_ends_a_console_that_cannot_draw() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let mut console = Console::start(&lab, 200, 60, &[]);
    console.shows("ENFORCE");
    // No process reads from the terminal any more, and it fills.
    console.is_closed.store(true, Ordering::Relaxed);
    console.drawing.take().unwrap().join().unwrap();
    for _ in 0..200 {
        console.press("2\x0c1\x0c");
        thread::sleep(Duration::from_millis(5));
    }
    let pid = nix::unistd::Pid::from_raw(console.child.id() as i32);
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    wait_until("the console ends", || {
        console.child.try_wait().unwrap().is_some()
    });
}

#[test]
#[ignore = "needs root and BPF"]
fn batch_prints_the_rows_of_a_view() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    for (view, expected) in [
        ("overview", "top rules by packets/s"),
        ("rules", "shop default-deny in"),
        ("conntrack", "live flows of"),
        ("interfaces", "nic0"),
        ("blocks", "no address is blocked"),
        ("changes", "keeps no history"),
        ("health", "problems"),
    ] {
        let output = ask(&lab, &format!("tui -b --view {view}"));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains(expected),
            "{view}: {text}"
        );
        assert!(text.starts_with(" ") && text.contains("ENFORCE"), "{text}");
    }
    for view in View::ALL {
        let output = ask(
            &lab,
            &format!("tui -b -o json --view {}", view.names().1.to_lowercase()),
        );
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["mode"], "enforce", "{answer}");
        assert!(answer.get("rows").is_some());
    }
    for (options, code, expected) in [
        ("", 2, "needs a terminal"),
        ("-b --view rulez", 2, "did you mean `rules`"),
        ("-n 3", 2, "--batch"),
    ] {
        let output = ask(&lab, &format!("tui {options}"));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{options}: {message}");
        assert!(message.contains(expected), "{options}: {message}");
    }
}
