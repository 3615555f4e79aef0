//! Which process listens on a TCP port, as far as /proc tells.

use std::fs;

/// State of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// Name and process id of a process that listens on a port; `None` if no visible process does.
pub(crate) fn port_holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inode = tables.iter().find_map(|table| {
        let text = fs::read_to_string(table).ok()?;
        let inode = text.lines().find_map(|line| listening_inode(line, port))?;
        Some(inode.to_owned())
    })?;
    let socket = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let mut targets = files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok());
        if targets.any(|target| target.as_os_str() == &*socket) {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {pid})", command.trim_end()));
        }
    }
    None
}

/// The inode of a line's socket, if the socket listens on the port.
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = fields.get(1)?.rsplit_once(':')?.1;
    let is_wanted = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == LISTEN;
    is_wanted.then(|| fields.get(9).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn this_process_holds_its_own_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = port_holder(port).unwrap();
        assert!(
            holder.contains(&format!("process {}", std::process::id())),
            "{holder}"
        );
        drop(listener);
        assert_eq!(port_holder(port), None);
    }
}
