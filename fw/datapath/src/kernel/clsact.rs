//! The egress hook of kernels without tcx: a filter of the clsact qdisc. The filter belongs to the
//! interface, not to a descriptor, so it outlives the process. Its pin refers to the program.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
};

use crate::kernel::netlink::send_request;

/// linux/pkt_sched.h: `TC_H_CLSACT`, and below it the egress side.
const CLSACT: u32 = 0xffff_fff1;
const EGRESS: u32 = 0xffff_fff3;
/// The handle of the clsact qdisc itself.
const QDISC: u32 = 0xffff_0000;
/// Handle of Bailey's filter among those of one priority.
const HANDLE: u32 = 0xba11;
/// First of all priorities. Among filters of one priority the newest runs first.
const PRIORITY: u32 = 1;
const ETH_P_ALL: u16 = 0x0003;

fn message(index: u32, parent: u32, handle: u32) -> TcMessage {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = TcHandle::from(parent);
    message.header.handle = TcHandle::from(handle);
    message
}

fn filter(index: u32) -> TcMessage {
    let mut message = message(index, EGRESS, HANDLE);
    message.header.info = PRIORITY << 16 | u32::from(ETH_P_ALL.to_be());
    message.attributes.push(TcAttribute::Kind("bpf".into()));
    message
}

/// Attaches a program, or replaces the attached one between two packets.
///
/// # Errors
/// If the kernel refuses, or an ingress qdisc occupies the handle.
pub(crate) fn set(program: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let mut qdisc = message(index, CLSACT, QDISC);
    qdisc.attributes.push(TcAttribute::Kind("clsact".into()));
    let create = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    match send_request(
        RouteNetlinkMessage::NewQueueDiscipline(qdisc),
        create | NLM_F_EXCL,
    ) {
        Err(error) if error.raw_os_error() != Some(libc::EEXIST) => return Err(error),
        Err(_) if !is_clsact(index)? => {
            return Err(io::Error::other(
                "an ingress qdisc occupies the handle of clsact and has no egress side; remove it: tc \
                 qdisc del dev NIC ingress",
            ));
        }
        _ => {}
    }
    let mut filter = filter(index);
    filter.attributes.push(TcAttribute::Options(vec![
        TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd() as u32)),
        TcOption::Bpf(TcFilterBpfOption::ProgName("bailey".into())),
        TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
    ]));
    let message = RouteNetlinkMessage::NewTrafficFilter(filter);
    send_request(message, create | NLM_F_REPLACE).map(drop)
}

/// Whether the qdisc is clsact. The ingress qdisc has the same handle and would accept the filter.
fn is_clsact(index: u32) -> io::Result<bool> {
    let request = RouteNetlinkMessage::GetQueueDiscipline(message(index, CLSACT, QDISC));
    // The kernel returns a qdisc only with NLM_F_ECHO, and an acknowledgement only with NLM_F_ACK.
    let answer = send_request(request, NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO)?;
    let Some(RouteNetlinkMessage::NewQueueDiscipline(found)) = answer else {
        return Ok(false);
    };
    let mut attributes = found.attributes.iter();
    Ok(
        attributes
            .any(|attribute| matches!(attribute, TcAttribute::Kind(kind) if kind == "clsact")),
    )
}

/// Id of the program of Bailey's filter; `None` if there is no such filter.
pub(crate) fn program(index: u32) -> io::Result<Option<u32>> {
    let answer = send_request(
        RouteNetlinkMessage::GetTrafficFilter(filter(index)),
        NLM_F_REQUEST,
    );
    let filter = match answer {
        Ok(Some(RouteNetlinkMessage::NewTrafficFilter(filter))) => filter,
        Ok(_) => return Ok(None),
        Err(error) => {
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINVAL | libc::ENODEV) => Ok(None),
                _ => Err(error),
            };
        }
    };
    let options = filter
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            TcAttribute::Options(options) => Some(options),
            _ => None,
        });
    let mut ids = options.flatten().filter_map(|option| match option {
        TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => Some(*id),
        _ => None,
    });
    Ok(ids.next())
}

/// Removes Bailey's filter. The qdisc stays, because other filters may use it.
pub(crate) fn remove(index: u32) -> io::Result<()> {
    let message = RouteNetlinkMessage::DelTrafficFilter(filter(index));
    match send_request(message, NLM_F_REQUEST | NLM_F_ACK) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
        result => result.map(drop),
    }
}
