//! The tester on cables and on devices with known limits: veth pairs, or the NICs in
//! `BAILEY_LAB_PAIRS`.
#![cfg(target_os = "linux")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use bailey_datapath::kernel::af_xdp::CopyPolicy;
use bailey_datapath::kernel::netlink::interface_by_name;
use bailey_lab::NicTestbed;
use bailey_lab::inline_testbed::SIDES;
use bailey_lab::nic_testbed::PORTS;
use bailey_nic::frame::{DESTINATION, ECHO_PORT, SOURCE};
use bailey_nic::port::Port;
use bailey_nic::rfc2544::{
    Plan, measure_bursts, measure_frame_loss, measure_latency, measure_throughput,
};
use bailey_nic::tester::{Options, Tester};
use bailey_nic::trial::{Link as _, Load, TrialOutcome};

const TIME: Duration = Duration::from_millis(400);

/// Serializes the tests: a tester uses all CPU time.
static EXCLUSIVE: Mutex<()> = Mutex::new(());

fn lock_exclusive() -> MutexGuard<'static, ()> {
    EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options() -> Options {
    let [sending, receiving] = PORTS.map(str::to_owned);
    Options {
        sending,
        receiving,
        force: false,
        copies: CopyPolicy::IfNeeded,
        queues: 1,
        cpus: Vec::new(),
        flows: 256,
        via: None,
        via_back: None,
        source: SOURCE,
        destination: DESTINATION,
        port: ECHO_PORT,
        settle: Duration::from_millis(150),
    }
}

/// Limits and faults of the device under test.
#[derive(Clone, Copy, Default)]
struct Device {
    /// Frames per second of a token bucket; 0: unlimited.
    rate: u64,
    /// Frames that the token bucket holds.
    bucket: u64,
    /// Drop every n-th frame; 0: none.
    lose_every: u64,
    /// Flip a bit of every n-th frame; 0: none.
    damage_every: u64,
}

/// Attaches the device's programs. Dropping the returned objects detaches them.
fn attach_device(rack: &NicTestbed, device: Device) -> Vec<Ebpf> {
    rack.device.run(move || {
        let [left, right] = SIDES.map(|side| interface_by_name(side).unwrap().unwrap().index);
        let interval = 1_000_000_000_u64.checked_div(device.rate).unwrap_or(0);
        [(left, right), (right, left)]
            .map(|(on, to)| {
                let answers = on == right;
                let device = if answers { Device::default() } else { device };
                let interval = if answers { 0 } else { interval };
                let mut object = EbpfLoader::new()
                    .override_global("interval_ns", &interval, true)
                    .override_global("bucket", &device.bucket, true)
                    .override_global("lose_every", &device.lose_every, true)
                    .override_global("damage_every", &device.damage_every, true)
                    .override_global("to", &to, true)
                    .load(aya::include_bytes_aligned!(concat!(
                        env!("OUT_DIR"),
                        "/police.bpf.o"
                    )))
                    .unwrap();
                let program: &mut Xdp = object.program_mut("police").unwrap().try_into().unwrap();
                program.load().unwrap();
                program.attach_to_if_index(on, XdpMode::Driver).unwrap();
                object
            })
            .into()
    })
}

/// Runs a job with a tester that has established its flows.
fn with_tester<T: Send + 'static>(
    rack: &NicTestbed,
    mix: &str,
    job: impl FnOnce(&mut Tester) -> T + Send + 'static,
) -> T {
    let mix = mix.parse().unwrap();
    rack.tester.run(move || {
        let mut tester = Tester::open(options(), mix).unwrap();
        eprintln!("{}", tester.describe());
        tester.establish_flows().unwrap();
        job(&mut tester)
    })
}

fn steady(rack: &NicTestbed, mix: &str, rate: f64) -> TrialOutcome {
    with_tester(rack, mix, move |tester| {
        tester.trial(Load::steady(rate, TIME)).unwrap()
    })
}

#[test]
#[ignore = "needs root and BPF"]
fn cable_returns_all_frames_intact_and_ordered() {
    let _lock = lock_exclusive();
    let rack = NicTestbed::with_cable().unwrap();
    let mixes = ["64", "1518", "imix", "edge"];
    let outcomes = with_tester(&rack, mixes[0], move |tester| {
        mixes.map(|mix| {
            tester.load(mix.parse().unwrap());
            tester.establish_flows().unwrap();
            tester.trial(Load::steady(500.0, TIME)).unwrap()
        })
    });
    for (mix, outcome) in mixes.into_iter().zip(outcomes) {
        assert!(outcome.sent >= 150, "{mix}: {outcome:?}");
        assert_eq!(outcome.received, outcome.sent, "{mix}: {outcome:?}");
        let odd = [outcome.reordered, outcome.duplicated, outcome.corrupted];
        assert_eq!(odd, [0; 3], "{mix}: {outcome:?}");
        assert_eq!(outcome.latency.len(), outcome.received);
        // Every latency is positive and shorter than the trial.
        let (least, most) = (outcome.latency.min(), outcome.latency.max());
        assert!(
            least > 100 && most < 1_000_000_000,
            "{mix}: {least} to {most}"
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn all_procedures_run_over_a_cable() {
    let _lock = lock_exclusive();
    let rack = NicTestbed::with_cable().unwrap();
    let plan = Plan {
        line_rate: 2000.0,
        duration: TIME,
        resolution: 0.1,
    };
    with_tester(&rack, "64", move |tester| {
        let found = measure_throughput(tester, &plan).unwrap();
        assert!(found.rate > 0.0, "{found:?}");
        assert_eq!(found.best.lost(), 0, "{found:?}");
        let points = measure_frame_loss(tester, &plan, &found.fastest).unwrap();
        assert!(points.len() >= 2);
        let bursts = measure_bursts(tester, &plan, &found, 1).unwrap();
        assert!(bursts.frames > 0.0, "{bursts:?}");
        let outcome = measure_latency(tester, &plan, &found, 0.5).unwrap();
        assert!(outcome.latency.value_at_quantile(0.5) > 0);
    });
}

#[test]
#[ignore = "needs root and BPF"]
fn throughput_equals_the_device_rate() {
    let _lock = lock_exclusive();
    let rack = NicTestbed::with_device().unwrap();
    let device = Device {
        rate: 10_000,
        bucket: 1000,
        ..Device::default()
    };
    let _device = attach_device(&rack, device);
    let plan = Plan {
        line_rate: 40_000.0,
        duration: TIME,
        resolution: 0.01,
    };
    let (found, bursts) = with_tester(&rack, "64", move |tester| {
        let found = measure_throughput(tester, &plan).unwrap();
        let bursts = measure_bursts(tester, &plan, &found, 2).unwrap();
        (found, bursts)
    });
    // The bucket absorbs sender stalls of 100 ms. In a trial this short, its 1000 frames add 2500
    // frames per second.
    let (rate, fastest) = (found.rate, &found.fastest);
    assert!((9_000.0..=13_000.0).contains(&rate), "{rate}");
    let through = fastest.received as f64 / fastest.elapsed.as_secs_f64();
    assert!((11_000.0..=13_500.0).contains(&through), "{through}");
    // At 40 000 frames per second, the bucket of 1000 frames carries a burst of 1333 frames, or a
    // longer burst if the sender stalls.
    assert!((900.0..=5_000.0).contains(&bursts.frames), "{bursts:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn every_lost_and_damaged_frame_is_counted() {
    let _lock = lock_exclusive();
    let rack = NicTestbed::with_device().unwrap();
    let losing = Device {
        lose_every: 100,
        ..Device::default()
    };
    let program = attach_device(&rack, losing);
    let outcome = steady(&rack, "64", 5000.0);
    let expected = outcome.sent / 100;
    assert!(outcome.sent > 1000, "{outcome:?}");
    // The device also counts the frames that establish flows.
    assert!(outcome.lost().abs_diff(expected) <= 1, "{outcome:?}");
    drop(program);

    let damaging = Device {
        damage_every: 50,
        ..Device::default()
    };
    let _program = attach_device(&rack, damaging);
    let outcome = steady(&rack, "64", 5000.0);
    let expected = outcome.sent / 50;
    assert!(outcome.corrupted.abs_diff(expected) <= 1, "{outcome:?}");
    assert_eq!(outcome.lost(), outcome.corrupted, "{outcome:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn used_interface_is_rejected_unless_forced() {
    let _lock = lock_exclusive();
    let rack = NicTestbed::with_cable().unwrap();
    let tester = &rack.tester;
    let open = |force: bool| {
        let opened = tester.run(move || Port::open(PORTS[0], force));
        opened.map_err(|error| error.to_string())
    };
    assert_eq!(open(false).unwrap().name, PORTS[0]);
    tester.ip("address add 192.0.2.1/24 dev port1").unwrap();
    let error = open(false).unwrap_err();
    assert!(
        error.contains("has the address 192.0.2.1") && error.contains("--force"),
        "{error}"
    );
    tester.ip("route add default via 192.0.2.2").unwrap();
    assert!(open(false).unwrap_err().contains("carries a default route"));
    assert!(open(true).is_ok());
    tester.ip("address del 192.0.2.1/24 dev port1").unwrap();
    assert!(open(false).is_ok());
    tester.ip("link set port1 down").unwrap();
    assert!(open(true).unwrap_err().contains("ip link set port1 up"));
}

#[test]
#[ignore = "needs root and BPF"]
fn invalid_options_are_rejected() {
    let _lock = lock_exclusive();
    let rack = NicTestbed::with_cable().unwrap();
    let refused = |options: Options| {
        let mix = "64".parse().unwrap();
        let opened = rack
            .tester
            .run(move || Tester::open(options, mix).map(drop));
        format!("{:#}", opened.unwrap_err())
    };
    let same = Options {
        receiving: PORTS[0].into(),
        ..options()
    };
    assert!(refused(same).contains("two different interfaces, got port1"));
    let none = Options {
        flows: 0,
        ..options()
    };
    assert!(refused(none).contains("--flows must be 1 to"));
    if std::env::var_os("BAILEY_LAB_PAIRS").is_none() {
        let never = Options {
            copies: CopyPolicy::Never,
            ..options()
        };
        // veth does not support zero-copy.
        let error = refused(never);
        assert!(error.contains("queue 0 of port1"), "{error}");
    }
    // A failed open releases its resources, so the interfaces can be used again.
    for _ in 0..2 {
        assert_eq!(steady(&rack, "64", 500.0).lost(), 0);
    }
}
