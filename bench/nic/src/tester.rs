//! The tester: two interfaces, their AF_XDP sockets, and trials over them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aya::Ebpf;
use aya::maps::XskMap;
use aya::programs::{Xdp, XdpMode};
use bailey_datapath::kernel::af_xdp::{BATCH, CopyPolicy, Socket, SocketDrops};

use crate::cpu;
use crate::frame::{Addressing, Flows, MAX_FLOWS, Stream};
use crate::mix::Mix;
use crate::port::{Port, wait_for_carrier};
use crate::sink::{Sink, empty_histogram};
use crate::transfer::{Sent, collect, emit, flush, send_all};
use crate::trial::{Link, Load, TrialOutcome};

/// Configuration of a tester.
#[derive(Debug, Clone)]
pub struct Options {
    /// The interface that frames leave through.
    pub sending: String,
    /// The interface that frames come back through.
    pub receiving: String,
    /// Use an interface even if it has an address or a default route.
    pub force: bool,
    /// Whether the kernel may copy frames.
    pub copies: CopyPolicy,
    /// Sending queues, one thread each. 0: half the number of CPUs. The NIC's queues are the limit.
    pub queues: u32,
    /// CPUs of the threads, senders first. Empty: the scheduler chooses.
    pub cpus: Vec<usize>,
    /// Number of different 5-tuples.
    pub flows: u32,
    /// Destination MAC of frames, for example a router's. Default: the receiving interface's.
    pub via: Option<[u8; 6]>,
    /// Destination MAC of the replies that establish flows before a trial.
    pub via_back: Option<[u8; 6]>,
    /// Source addresses are in the /16 around this address.
    pub source: Ipv4Addr,
    /// Destination address of all IPv4 frames.
    pub destination: Ipv4Addr,
    /// Destination UDP port.
    pub port: u16,
    /// How long a trial waits after its last frame, for late frames and for queues to empty. RFC
    /// 2544, section 23, requires two seconds.
    pub settle: Duration,
}

/// Two interfaces with their sockets. While a tester exists, frames that arrive at the receiving
/// interface do not reach the kernel network stack.
pub struct Tester {
    /// The sending and the receiving interface.
    pub ports: [Port; 2],
    senders: Vec<Socket>,
    receivers: Vec<Socket>,
    options: Options,
    flows: Flows,
    mix: Mix,
    streams: Vec<Stream>,
    trials: u16,
    clock: Instant,
    /// XDP mode (native or generic), by interface.
    modes: BTreeMap<String, &'static str>,
    // Dropped after the sockets: a driver must release its queues before the program is detached.
    _programs: [Ebpf; 2],
}

static ARRIVE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/arrive.bpf.o"));
/// Rate at which flows are established, in frames per second.
const SETUP_RATE: f64 = 50e3;
/// No sender exceeds this rate, in frames per second; it bounds the memory of a sink.
const FASTEST: f64 = 40e6;

impl Tester {
    /// Opens both interfaces; establishes no flow yet.
    ///
    /// # Errors
    /// If an interface cannot be used, or root is missing.
    pub fn open(options: Options, mix: Mix) -> Result<Self> {
        ensure!(
            options.sending != options.receiving,
            "the tester needs two different interfaces, got {} twice",
            options.sending
        );
        ensure!(
            (1..=MAX_FLOWS).contains(&options.flows),
            "--flows must be 1 to {MAX_FLOWS}, got {}",
            options.flows
        );
        let names = [&options.sending, &options.receiving];
        let [sending, receiving] = names.map(|name| Port::open(name, options.force));
        let ports = [sending?, receiving?];
        let mut modes = BTreeMap::new();
        // The sending interface needs a program too: drivers offer zero-copy only with a program
        // attached, and veth delivers redirected frames only to a peer with one.
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
        // Every receive queue needs a socket, because the NIC's RSS selects the queue.
        let receivers = open(&ports[1], ports[1].queues.receiving)?;
        let map = programs[1]
            .map_mut("sockets")
            .context("the BPF object has no map \"sockets\"")?;
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

    /// Sets the mix of all following trials.
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

    /// The mix that trials send.
    pub fn mix(&self) -> &Mix {
        &self.mix
    }

    /// Interfaces, queues and modes in one line.
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

    /// Sends one frame and one reply of each flow, slowly, so that the device under test has all
    /// flows in its table.
    ///
    /// # Errors
    /// If a socket cannot send.
    pub fn establish_flows(&mut self) -> Result<()> {
        let kinds = self.streams[0].kinds();
        let reply_mac = self.options.via_back.unwrap_or(self.ports[0].mac);
        let streams = &self.streams;
        let pace = Duration::from_secs_f64(BATCH as f64 / SETUP_RATE);
        for kind in kinds {
            for first in (0..self.flows.per_queue()).step_by(BATCH) {
                let last = (first + BATCH as u32).min(self.flows.per_queue());
                for (queue, stream) in streams.iter().enumerate() {
                    let flow = |n: u32| n * self.flows.queues + queue as u32;
                    send_all(&mut self.senders[queue], first..last, |n, room| {
                        stream.write_setup(flow(n), kind, false, room)
                    })?;
                    send_all(&mut self.receivers[0], first..last, |n, room| {
                        let length = stream.write_setup(flow(n), kind, true, room);
                        room[..6].copy_from_slice(&reply_mac);
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

    fn next_trial(&mut self) -> u16 {
        // Trial 0 marks the frames that establish flows.
        self.trials = self.trials.checked_add(1).unwrap_or(1);
        self.trials
    }

    fn lost(&self) -> Result<SocketDrops> {
        let mut sum = SocketDrops::default();
        for receiver in &self.receivers {
            let lost = receiver.lost()?;
            sum.ring_full += lost.ring_full;
            sum.no_buffer += lost.no_buffer;
            sum.other += lost.other;
        }
        Ok(sum)
    }
}

/// Attaches the program to an interface, in native mode if the driver supports it.
fn attach(port: &Port) -> Result<(Ebpf, &'static str)> {
    let mut object = Ebpf::load(ARRIVE).context("cannot load a BPF program; run as root")?;
    let program: &mut Xdp = object
        .program_mut("arrive")
        .context("the BPF object has no program \"arrive\"")?
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
        .with_context(|| format!("cannot attach to {name}; detach the other XDP program first"))?;
    Ok((object, "generic"))
}

impl Link for Tester {
    fn trial(&mut self, load: Load) -> Result<TrialOutcome> {
        let trial = self.next_trial();
        let (lost, dropped) = (self.lost()?, self.ports[1].dropped()?);
        let (sent, sinks) = self.run_threads(trial, load)?;
        // Sum up the queues.
        let sum = |count: fn(&Sink) -> u64| sinks.iter().map(count).sum();
        let mut latency = empty_histogram();
        for sink in &sinks {
            latency.add(&sink.latency)?;
        }
        let now = self.lost()?;
        Ok(TrialOutcome {
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
            sockets: SocketDrops {
                ring_full: now.ring_full - lost.ring_full,
                no_buffer: now.no_buffer - lost.no_buffer,
                other: now.other - lost.other,
            },
            dropped: self.ports[1].dropped()?.saturating_sub(dropped),
            latency,
        })
    }
}

impl Tester {
    /// Runs one thread per queue, waits for late frames, and returns the result of each thread.
    fn run_threads(&mut self, trial: u16, load: Load) -> Result<(Vec<Sent>, Vec<Sink>)> {
        // Each queue gets its share of the load.
        let queues = f64::from(self.flows.queues);
        let rate = load.rate.min(FASTEST) / queues;
        let frames = load.frames.div_ceil(self.flows.queues.into());
        let most = (rate * load.time.as_secs_f64() + 2.0 * BATCH as f64) as u64;
        let most = most.min(frames).min(u64::from(u32::MAX)) as u32;
        let share = Load {
            rate: load.rate / queues,
            frames: frames.min(most.into()),
            time: load.time,
        };
        let settle = self.options.settle;
        let stop = AtomicBool::new(false);
        let (flows, port, clock) = (self.flows, self.options.port, self.clock);
        let is_new_flow = |number: u32| {
            let frames = &self.mix.frames;
            frames[number as usize % frames.len()].new_flow
        };
        let cpus = &self.options.cpus;
        let cpu_of = |thread: usize| cpus.get(thread % cpus.len().max(1)).copied();
        let senders = self.senders.len();
        thread::scope(|scope| {
            // Receivers start first, so that no frame arrives before its sink exists.
            let sinks: Vec<_> = self
                .receivers
                .iter_mut()
                .enumerate()
                .map(|(at, socket)| {
                    let (stop, is_new_flow) = (&stop, &is_new_flow);
                    let cpu = cpu_of(senders + at);
                    scope.spawn(move || {
                        cpu.map_or(Ok(()), cpu::pin)?;
                        let mut sink = Sink::new(trial, port, flows, most);
                        collect(socket, &mut sink, is_new_flow, clock, stop)?;
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
                    scope.spawn(move || {
                        cpu.map_or(Ok(()), cpu::pin)?;
                        emit(socket, stream, trial, share, clock)
                    })
                })
                .collect();
            let sent: Result<Vec<Sent>> = senders.into_iter().map(join).collect();
            // Wait even after an error: the queues must be empty when the next trial starts.
            sleep(settle);
            stop.store(true, Ordering::Relaxed);
            let sinks: Result<Vec<Sink>> = sinks.into_iter().map(join).collect();
            Ok((sent?, sinks?))
        })
    }
}

/// Returns the result of a thread; a panic there continues here.
fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
