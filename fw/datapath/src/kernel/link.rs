//! BPF links by system call. aya does not expose their descriptors, which are needed to update a
//! pinned link in place.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::kernel::bpf::{PathAttr, bpf, c_path, owned, pin_descriptor};
use crate::kernel::clsact;

/// Commands of `enum bpf_cmd` and constants around them, linux/bpf.h and linux/if_link.h.
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
const BPF_LINK_GET_FD_BY_ID: libc::c_long = 30;
const BPF_LINK_GET_NEXT_ID: libc::c_long = 31;
const BPF_LINK_DETACH: libc::c_long = 34;
const BPF_XDP: u32 = 37;
const BPF_TCX_EGRESS: u32 = 47;
const BPF_F_BEFORE: u32 = 1 << 3;
const LINK_TYPE_XDP: u32 = 6;

/// An attached program. Dropping the link detaches the program, unless the link is pinned or a
/// filter.
#[derive(Debug)]
pub(crate) struct Link {
    fd: OwnedFd,
    /// The ifindex, if the program is a clsact filter; then `fd` is the program's descriptor.
    filter: Option<u32>,
}

/// The kernel's description of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkInfo {
    pub(crate) id: u32,
    pub(crate) program: u32,
    /// The ifindex of an XDP or tcx link; 0 if the interface was deleted.
    pub(crate) ifindex: u32,
}

#[repr(C)]
#[derive(Default)]
struct CreateAttr {
    program: u32,
    ifindex: u32,
    attach_type: u32,
    flags: u32,
    // tcx: relative_fd and expected_revision, zero for "before all"
    rest: [u32; 12],
}

#[repr(C)]
#[derive(Default)]
struct InfoAttr {
    fd: u32,
    len: u32,
    info: u64,
}

/// Start of `struct bpf_link_info`; its union is aligned to 8 bytes.
#[repr(C)]
#[derive(Default)]
struct InfoStart {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    ifindex: u32,
    rest: [u32; 11],
}

impl Link {
    /// Attaches an XDP program; `mode` are the flags of
    /// [`XdpMode::flags`](bailey_config::XdpMode::flags).
    pub(crate) fn xdp(program: BorrowedFd<'_>, ifindex: u32, mode: u32) -> io::Result<Self> {
        Self::create(program, ifindex, BPF_XDP, mode)
    }

    /// Attaches a classifier as a filter of clsact egress, before all others.
    pub(crate) fn clsact_egress(program: BorrowedFd<'_>, ifindex: u32) -> io::Result<Self> {
        let fd = program.try_clone_to_owned()?;
        clsact::set(program, ifindex)?;
        Ok(Self {
            fd,
            filter: Some(ifindex),
        })
    }

    /// Attaches a classifier at tcx egress, before all others.
    pub(crate) fn tcx_egress(program: BorrowedFd<'_>, ifindex: u32) -> io::Result<Self> {
        Self::create(program, ifindex, BPF_TCX_EGRESS, BPF_F_BEFORE)
    }

    fn create(
        program: BorrowedFd<'_>,
        ifindex: u32,
        attach_type: u32,
        flags: u32,
    ) -> io::Result<Self> {
        let mut attribute = CreateAttr {
            program: program.as_raw_fd() as u32,
            ifindex,
            attach_type,
            flags,
            ..CreateAttr::default()
        };
        let fd = bpf(BPF_LINK_CREATE, &mut attribute)?;
        Ok(Self::of(fd))
    }

    fn of(fd: libc::c_long) -> Self {
        Self {
            fd: owned(fd),
            filter: None,
        }
    }

    /// Replaces the attached program, between two packets; `pin` is the path of the link's pin.
    pub(crate) fn update(&mut self, program: BorrowedFd<'_>, pin: &Path) -> io::Result<()> {
        if let Some(ifindex) = self.filter {
            // A deleted interface has no filter.
            clsact::program(ifindex)?.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOLINK))?;
            clsact::set(program, ifindex)?;
            self.fd = program.try_clone_to_owned()?;
            // If the process is killed here, the next start finds a filter that differs from the
            // pin and replaces it.
            let _ = std::fs::remove_file(pin);
            return self.pin(pin);
        }
        let mut attribute = [self.fd.as_raw_fd() as u32, program.as_raw_fd() as u32, 0, 0];
        bpf(BPF_LINK_UPDATE, &mut attribute).map(drop)
    }

    /// Detaches the program, even if other processes hold the link.
    pub(crate) fn detach(&self) -> io::Result<()> {
        if let Some(ifindex) = self.filter {
            return clsact::remove(ifindex);
        }
        let mut attribute = [self.fd.as_raw_fd() as u32];
        bpf(BPF_LINK_DETACH, &mut attribute).map(drop)
    }

    pub(crate) fn pin(&self, path: &Path) -> io::Result<()> {
        pin_descriptor(self.fd.as_fd(), path)
    }

    /// Opens a pinned link; `ifindex` is the one in the pin's name.
    pub(crate) fn from_pin(path: &Path, ifindex: u32) -> io::Result<Self> {
        let path = c_path(path)?;
        let mut attribute = PathAttr {
            path: path.as_ptr() as u64,
            ..PathAttr::default()
        };
        let mut link = Self::of(bpf(BPF_OBJ_GET, &mut attribute)?);
        let target = std::fs::read_link(format!("/proc/self/fd/{}", link.fd.as_raw_fd()))?;
        if target.as_os_str().as_bytes().ends_with(b"bpf-prog") {
            link.filter = Some(ifindex);
        }
        Ok(link)
    }

    /// Whether it is a clsact filter, which stays attached without a descriptor.
    pub(crate) fn is_filter(&self) -> bool {
        self.filter.is_some()
    }

    pub(crate) fn info(&self) -> io::Result<LinkInfo> {
        if let Some(ifindex) = self.filter {
            let running = clsact::program(ifindex)?;
            // `struct bpf_prog_info` also begins with type and id.
            let ours = self.info_start()?.id;
            return Ok(LinkInfo {
                id: 0,
                program: ours,
                ifindex: if running == Some(ours) { ifindex } else { 0 },
            });
        }
        self.info_start().map(|start| LinkInfo {
            id: start.id,
            program: start.program,
            ifindex: start.ifindex,
        })
    }

    fn info_start(&self) -> io::Result<InfoStart> {
        let mut start = InfoStart::default();
        let mut attribute = InfoAttr {
            fd: self.fd.as_raw_fd() as u32,
            len: size_of::<InfoStart>() as u32,
            info: std::ptr::from_mut(&mut start) as u64,
        };
        bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attribute)?;
        Ok(start)
    }

    /// Finds the XDP link that holds a program on an interface. Links of all network namespaces are
    /// listed, in which an ifindex is ambiguous; program ids are unique.
    pub(crate) fn xdp_of(program: u32, ifindex: u32) -> io::Result<Option<Self>> {
        // start_id or link_id, next_id, open_flags
        let mut attribute = [0_u32; 3];
        loop {
            match bpf(BPF_LINK_GET_NEXT_ID, &mut attribute) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
                Err(error) => return Err(error),
            }
            let mut by_id = [attribute[1], 0, 0];
            // A link may be closed while links are listed.
            if let Ok(fd) = bpf(BPF_LINK_GET_FD_BY_ID, &mut by_id) {
                let link = Self::of(fd);
                let start = link.info_start()?;
                if start.kind == LINK_TYPE_XDP
                    && start.program == program
                    && start.ifindex == ifindex
                {
                    return Ok(Some(link));
                }
            }
            attribute[0] = attribute[1];
        }
    }
}
