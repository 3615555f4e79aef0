//! Waits for configured interfaces: at boot, the daemon may start before the NICs exist.

use std::thread;
use std::time::Duration;

use bailey_clock::now;
use bailey_config::Interface;
use bailey_datapath::kernel::netlink;

use crate::wake::EventQueue;

/// Interval of checks for the interfaces and for signals.
const POLL: Duration = Duration::from_millis(100);

/// Waits until all interfaces exist, for at most `seconds`. Returns false if a signal requests a
/// stop.
pub(crate) fn wait_for_interfaces(
    interfaces: &[Interface],
    seconds: u64,
    queue: &mut EventQueue,
) -> bool {
    let deadline = now() + Duration::from_secs(seconds);
    let missing = || {
        interfaces
            .iter()
            .find(|interface| !matches!(netlink::interface_by_name(&interface.name), Ok(Some(_))))
    };
    let mut is_reported = false;
    while let Some(interface) = missing().filter(|_| now() < deadline) {
        if !is_reported {
            tracing::info!(interface = interface.name, "waiting for the interface");
            is_reported = true;
        }
        if queue.has_stop_request() {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}
