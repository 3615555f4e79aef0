use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep, yield_now};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aya::Ebpf;
use aya::maps::XskMap;
use aya::programs::{Xdp, XdpMode};
use bailey_datapath::kernel::xsk::{BATCH, Copies, Lost, Socket};

use crate::cpu;
use crate::frame::{Addressing, Flows, MOST_FLOWS, Stream};
use crate::mix::Mix;
use crate::port::{Port, wait_for_carrier};
use crate::sink::{Sink, latencies};
use crate::trial::{Link, Load, Outcome};

/// How a tester is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Frames leave through this interface.
    pub sending: String,
    /// And come back by this one.
    pub receiving: String,
    /// Take interfaces that the machine uses.
    pub force: bool,
    /// May frames be copied?
    pub copies: Copies,
    /// Sending queues, each a thread; 0 is as many as half of the CPUs, and as there are.
    pub queues: u32,
    /// CPUs for the threads, the senders' first; none is the kernel's choice.
    pub cpus: Vec<usize>,
    /// Different 5-tuples.
    pub flows: u32,
    /// The Ethernet address that frames are for: a router's, or else the receiving interface's.
    pub via: Option<[u8; 6]>,
    /// The same for answers, which open flows both ways before a trial.
    pub via_back: Option<[u8; 6]>,
    /// Sources are in the /16 around it.
    pub source: Ipv4Addr,
    /// Whom frames are for.
    pub destination: Ipv4Addr,
    /// Its UDP port.
    pub port: u16,
    /// How long a trial waits once the last frame is sent, for late ones, and for queues to empty. RFC 2544,
    /// section 23, says two seconds.
    pub settle: Duration,
}

/// Two interfaces with their sockets. While it exists, frames that arrive at the receiving one do not
/// reach the machine's stack.
pub struct Tester {
    /// Both interfaces, the sending one first.
    pub ports: [Port; 2],
    senders: Vec<Socket>,
    receivers: Vec<Socket>,
    options: Options,
    flows: Flows,
    mix: Mix,
    streams: Vec<Stream>,
    trials: u16,
    clock: Instant,
    /// How XDP is attached, by interface.
    modes: BTreeMap<String, &'static str>,
    // After the sockets: a driver gives its queues back before the program goes.
    _programs: [Ebpf; 2],
}

static ARRIVE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/arrive.bpf.o"));
/// How fast flows are introduced, in frames a second.
const INTRODUCTIONS: f64 = 50e3;
/// No sender is faster than this: room for what it may send.
const FASTEST: f64 = 40e6;
/// A NIC that takes nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(1);

impl Tester {
    /// Takes both interfaces, and introduces nothing yet.
    ///
    /// # Errors
    /// If an interface cannot be used, or root is missing.
    pub fn open(options: Options, mix: Mix) -> Result<Self> {
        ensure!(
            options.sending != options.receiving,
            "frames leave and come back by two interfaces; {} is one",
            options.sending
        );
        ensure!(
            (1..=MOST_FLOWS).contains(&options.flows),
            "1 to {MOST_FLOWS} flows can be told apart"
        );
        let names = [&options.sending, &options.receiving];
        let [sending, receiving] = names.map(|name| Port::open(name, options.force));
        let ports = [sending?, receiving?];
        let mut modes = BTreeMap::new();
        // The sending one as well: drivers do without copies only beside a program, and veth hands
        // over what was redirected only to one.
        let mut attach = |port: &Port| -> Result<Ebpf> {
            let (object, mode) = attach(port)?;
            modes.insert(port.name.clone(), mode);
            Ok(object)
        };
        let mut programs = [attach(&ports[0])?, attach(&ports[1])?];
        let half = thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32 / 2);
        let wanted = match options.queues {
            0 => half.max(1),
            queues => queues,
        };
        let open = |port: &Port, queues: u32| -> Result<Vec<Socket>> {
            let opened = (0..queues).map(|queue| {
                Socket::open(port.index, queue, options.copies).with_context(|| {
                    format!("cannot open a socket on queue {queue} of {}", port.name)
                })
            });
            opened.collect()
        };
        let senders = open(&ports[0], wanted.min(ports[0].queues.sending))?;
        // All of them: the NIC chooses.
        let receivers = open(&ports[1], ports[1].queues.receiving)?;
        let map = programs[1]
            .map_mut("sockets")
            .context("no map of sockets")?;
        let mut sockets = XskMap::try_from(map)?;
        for (queue, socket) in receivers.iter().enumerate() {
            sockets.set(queue as u32, socket.as_raw_fd(), 0)?;
        }
        for port in &ports {
            wait_for_carrier(&port.name)?;
        }
        let flows = Flows {
            count: options.flows.max(senders.len() as u32),
            queues: senders.len() as u32,
        };
        let mut tester = Self {
            ports,
            senders,
            receivers,
            options,
            flows,
            mix: mix.clone(),
            streams: Vec::new(),
            trials: 0,
            clock: Instant::now(),
            modes,
            _programs: programs,
        };
        tester.load(mix);
        Ok(tester)
    }

    /// Sends this from now on.
    pub fn load(&mut self, mix: Mix) {
        let [sending, receiving] = &self.ports;
        let addressing = Addressing {
            macs: [sending.mac, self.options.via.unwrap_or(receiving.mac)],
            source: self.options.source,
            destination: self.options.destination,
            port: self.options.port,
        };
        self.streams = (0..self.flows.queues)
            .map(|queue| Stream::new(&mix, &addressing, self.flows, queue as u8))
            .collect();
        self.mix = mix;
    }

    /// What is sent.
    pub fn mix(&self) -> &Mix {
        &self.mix
    }

    /// One line: interfaces, queues, modes.
    pub fn describe(&self) -> String {
        let side = |port: &Port, sockets: &[Socket]| {
            let copies = if sockets.iter().all(Socket::is_zero_copy) {
                "zero-copy"
            } else {
                "copies"
            };
            let speed = port
                .speed
                .map_or_else(|| "speed unknown".into(), |speed| format!("{speed} Mbit/s"));
            let slot = port.slot.as_ref().map_or_else(String::new, |slot| {
                format!(", slot of {:.1} Gbit/s", slot.bits() / 1e9)
            });
            let mode = self.modes.get(&port.name).copied().unwrap_or_default();
            let queues = sockets.len();
            let name = &port.name;
            format!("{name} ({queues} queues, {mode} XDP, {copies}, {speed}{slot})")
        };
        let [sending, receiving] = &self.ports;
        format!(
            "{} to {}, {} flows",
            side(sending, &self.senders),
            side(receiving, &self.receivers),
            self.flows.count
        )
    }

    /// Sends one frame of each flow and the answer to it, slowly, so that what is measured knows them.
    ///
    /// # Errors
    /// If nothing can be sent.
    pub fn introduce(&mut self) -> Result<()> {
        let kinds = self.streams[0].kinds();
        let back = self.answer_to();
        let streams = &self.streams;
        let pace = Duration::from_secs_f64(BATCH as f64 / INTRODUCTIONS);
        for kind in kinds {
            for first in (0..self.flows.of_queue()).step_by(BATCH) {
                let last = (first + BATCH as u32).min(self.flows.of_queue());
                for (queue, stream) in streams.iter().enumerate() {
                    let flow = |n: u32| n * self.flows.queues + queue as u32;
                    all(&mut self.senders[queue], first..last, |n, room| {
                        stream.introduce(flow(n), kind, false, room)
                    })?;
                    all(&mut self.receivers[0], first..last, |n, room| {
                        let length = stream.introduce(flow(n), kind, true, room);
                        room[..6].copy_from_slice(&back);
                        length
                    })?;
                }
                sleep(pace);
                for receiver in &mut self.receivers {
                    while receiver.receive(|_| ())? > 0 {}
                }
            }
        }
        for socket in self.senders.iter_mut().chain(&mut self.receivers) {
            flush(socket)?;
        }
        sleep(self.options.settle);
        Ok(())
    }

    fn answer_to(&self) -> [u8; 6] {
        self.options.via_back.unwrap_or(self.ports[0].mac)
    }

    fn next_trial(&mut self) -> u16 {
        // 0 is none.
        self.trials = self.trials.checked_add(1).unwrap_or(1);
        self.trials
    }

    fn lost(&self) -> Result<Lost> {
        let mut sum = Lost::default();
        for receiver in &self.receivers {
            let lost = receiver.lost()?;
            sum.ring_full += lost.ring_full;
            sum.no_buffer += lost.no_buffer;
            sum.other += lost.other;
        }
        Ok(sum)
    }
}

/// Hands over a frame for each number.
fn all(
    socket: &mut Socket,
    numbers: std::ops::Range<u32>,
    mut write: impl FnMut(u32, &mut [u8]) -> usize,
) -> Result<()> {
    let mut next = numbers.start;
    let begun = Instant::now();
    while next < numbers.end {
        let mut n = next;
        let left = (numbers.end - next) as usize;
        let sent = socket.send(left, |room| {
            n += 1;
            write(n - 1, room)
        })?;
        next += sent as u32;
        ensure!(begun.elapsed() < STUCK, "the NIC takes no frames");
    }
    Ok(())
}

fn flush(socket: &mut Socket) -> Result<()> {
    let begun = Instant::now();
    while !socket.flush()? && begun.elapsed() < STUCK {
        yield_now();
    }
    Ok(())
}

/// Puts the program on an interface, in the driver if it can.
fn attach(port: &Port) -> Result<(Ebpf, &'static str)> {
    let mut object = Ebpf::load(ARRIVE).context("cannot load a BPF program; root is needed")?;
    let program: &mut Xdp = object
        .program_mut("arrive")
        .context("no program")?
        .try_into()?;
    program.load()?;
    let name = &port.name;
    if program
        .attach_to_if_index(port.index, XdpMode::Driver)
        .is_ok()
    {
        return Ok((object, "native"));
    }
    program
        .attach_to_if_index(port.index, XdpMode::Skb)
        .with_context(|| format!("cannot attach to {name}: is something else attached there?"))?;
    Ok((object, "generic"))
}

/// What one sender did.
struct Sent {
    frames: u64,
    elapsed: Duration,
}

impl Link for Tester {
    fn trial(&mut self, load: Load) -> Result<Outcome> {
        let trial = self.next_trial();
        let (lost, dropped) = (self.lost()?, self.ports[1].dropped()?);
        let queues = f64::from(self.flows.queues);
        let rate = load.rate.min(FASTEST) / queues;
        let frames = load.frames.div_ceil(self.flows.queues.into());
        let most = (rate * load.time.as_secs_f64() + 2.0 * BATCH as f64) as u64;
        let most = most.min(frames).min(u64::from(u32::MAX)) as u32;
        let settle = self.options.settle;
        let stop = AtomicBool::new(false);
        let (flows, port, clock) = (self.flows, self.options.port, self.clock);
        let fresh = |number: u32| {
            let parts = &self.mix.parts;
            parts[number as usize % parts.len()].fresh
        };
        let cpus = &self.options.cpus;
        let cpu_of = |thread: usize| cpus.get(thread % cpus.len().max(1)).copied();
        let senders = self.senders.len();
        let (sent, sinks) = thread::scope(|scope| -> Result<(Vec<Sent>, Vec<Sink>)> {
            let sinks: Vec<_> = self
                .receivers
                .iter_mut()
                .enumerate()
                .map(|(at, socket)| {
                    let (stop, fresh) = (&stop, &fresh);
                    let cpu = cpu_of(senders + at);
                    scope.spawn(move || {
                        cpu.map_or(Ok(()), cpu::pin)?;
                        let mut sink = Sink::new(trial, port, flows, most);
                        collect(socket, &mut sink, fresh, clock, stop)?;
                        anyhow::Ok(sink)
                    })
                })
                .collect();
            let senders: Vec<_> = self
                .senders
                .iter_mut()
                .zip(&self.streams)
                .enumerate()
                .map(|(at, (socket, stream))| {
                    let cpu = cpu_of(at);
                    let part = Load {
                        rate: load.rate / queues,
                        frames: frames.min(most.into()),
                        time: load.time,
                    };
                    scope.spawn(move || {
                        cpu.map_or(Ok(()), cpu::pin)?;
                        emit(socket, stream, trial, part, clock)
                    })
                })
                .collect();
            let sent: Result<Vec<Sent>> = senders.into_iter().map(joined).collect();
            // Always: queues must be empty when the next trial begins.
            sleep(settle);
            stop.store(true, Ordering::Relaxed);
            let sinks: Result<Vec<Sink>> = sinks.into_iter().map(joined).collect();
            Ok((sent?, sinks?))
        })?;
        let sum = |of: fn(&Sink) -> u64| sinks.iter().map(of).sum();
        let mut latency = latencies();
        for sink in &sinks {
            latency.add(&sink.latency)?;
        }
        let now = self.lost()?;
        Ok(Outcome {
            load,
            sent: sent.iter().map(|sent| sent.frames).sum(),
            elapsed: sent
                .iter()
                .map(|sent| sent.elapsed)
                .max()
                .unwrap_or_default(),
            received: sum(|sink| sink.received),
            duplicated: sum(|sink| sink.duplicated),
            reordered: sum(|sink| sink.reordered),
            corrupted: sum(|sink| sink.corrupted),
            foreign: sum(|sink| sink.foreign),
            sockets: Lost {
                ring_full: now.ring_full - lost.ring_full,
                no_buffer: now.no_buffer - lost.no_buffer,
                other: now.other - lost.other,
            },
            dropped: self.ports[1].dropped()?.saturating_sub(dropped),
            latency,
        })
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Sends frames when they are due.
fn emit(
    socket: &mut Socket,
    stream: &Stream,
    trial: u16,
    load: Load,
    clock: Instant,
) -> Result<Sent> {
    let begun = Instant::now();
    let origin = begun.duration_since(clock).as_nanos() as u64;
    let mut sent = 0;
    let mut last_sent = begun;
    while sent < load.frames {
        let elapsed = begun.elapsed();
        if elapsed >= load.time {
            break;
        }
        let due = if load.rate.is_finite() {
            (elapsed.as_secs_f64() * load.rate) as u64 + 1
        } else {
            u64::MAX
        };
        let ready = due.min(load.frames).saturating_sub(sent);
        if ready == 0 {
            std::hint::spin_loop();
            continue;
        }
        let now = elapsed.as_nanos() as u64;
        let mut number = sent;
        let taken = socket.send(ready.min(BATCH as u64) as usize, |room| {
            let offset = if load.rate.is_finite() {
                (number as f64 / load.rate * 1e9) as u64
            } else {
                now
            };
            let length = stream.write(trial, number as u32, origin + offset, room);
            number += 1;
            length
        })?;
        let now = Instant::now();
        if taken > 0 {
            last_sent = now;
        } else {
            ensure!(
                now.duration_since(last_sent) < STUCK,
                "the NIC takes no frames any more"
            );
            yield_now();
        }
        sent += taken as u64;
    }
    let elapsed = begun.elapsed();
    flush(socket)?;
    Ok(Sent {
        frames: sent,
        elapsed,
    })
}

/// Takes what arrives until it is told to stop.
fn collect(
    socket: &mut Socket,
    sink: &mut Sink,
    fresh: &impl Fn(u32) -> bool,
    clock: Instant,
    stop: &AtomicBool,
) -> Result<()> {
    loop {
        let last = stop.load(Ordering::Relaxed);
        let mut now = None;
        let taken = socket.receive(|frame| {
            let now = now.get_or_insert_with(|| clock.elapsed().as_nanos() as u64);
            sink.take(frame, fresh, *now);
        })?;
        if taken == 0 {
            if last {
                return Ok(());
            }
            yield_now();
        }
    }
}
