//! The filter of system calls: a list of those that no program of a run needs and that lead out of a fence.
//!
//! Relies on seccomp. What asks for a namespace, traces, mounts or loads into the kernel gets `EPERM`; calls whose
//! arguments a filter cannot see get `ENOSYS`, so that libraries fall back to older ones that it can. Never: lets a program
//! that was built for another machine's calls by; such a call ends it.

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;

/// Calls that are refused whatever their arguments.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Calls that are answered as if the kernel did not know them: their arguments lie in memory.
const UNKNOWN: &[libc::c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Calls that reach what other programs of the user share, where no namespace parts them.
const SHARED: &[libc::c_long] =
    &[libc::SYS_mq_open, libc::SYS_msgget, libc::SYS_semget, libc::SYS_shmat, libc::SYS_shmget];

/// Namespaces that `clone` could make.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// What types into a terminal, and what pastes into a console.
const TERMINAL: &[u64] = &[0x5412, 0x541C];

/// On x86-64 a call may also be made by this number plus its own: a second door to the same rooms.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// What is left to a program of ways to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ways {
    /// Whether it may open local sockets and share memory, semaphores and queues by name.
    pub(super) local: bool,
    /// Whether it may speak more than TCP: no rule of Landlock covers the rest.
    pub(super) datagrams: bool,
}

/// Filters the calls of this thread and of everything that it becomes or starts.
pub(super) fn refuse(ways: Ways) -> Result<(), seccompiler::Error> {
    for (rules, errno) in [(unknown(), libc::ENOSYS), (refused(ways)?, libc::EPERM)] {
        let action = SeccompAction::Errno(errno.cast_unsigned());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, std::env::consts::ARCH.try_into()?)?;
        apply_filter(&BpfProgram::try_from(filter)?)?;
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn unknown() -> Rules {
    UNKNOWN.iter().flat_map(|&call| numbers(call)).map(|call| (call, Vec::new())).collect()
}

fn refused(ways: Ways) -> Result<Rules, BackendError> {
    let shared = if ways.local { &[] } else { SHARED };
    let mut rules: Rules =
        REFUSED.iter().chain(shared).flat_map(|&call| numbers(call)).map(|call| (call, Vec::new())).collect();
    let mut add = |call: libc::c_long, conditions: Vec<SeccompCondition>| {
        let rule = SeccompRule::new(conditions)?;
        for call in numbers(call) {
            rules.entry(call).or_default().push(rule.clone());
        }
        Ok::<(), BackendError>(())
    };
    for bit in (0..32).map(|bit| 1_u64 << bit).filter(|bit| u64::from(NAMESPACES.cast_unsigned()) & bit != 0) {
        add(libc::SYS_clone, vec![if_set(0, bit)?])?;
    }
    for &request in TERMINAL {
        add(libc::SYS_ioctl, vec![if_equal(1, request)?])?;
    }
    let families: &[i32] = if ways.local {
        &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]
    } else {
        &[libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]
    };
    let others = families.iter().map(|&family| if_other(0, number(family)));
    add(libc::SYS_socket, others.collect::<Result<_, _>>()?)?;
    if !ways.datagrams {
        for family in [libc::AF_INET, libc::AF_INET6] {
            for kind in (0..16).filter(|&kind| kind != libc::SOCK_STREAM) {
                add(libc::SYS_socket, vec![if_equal(0, number(family))?, if_masked(1, 0xF, number(kind))?])?;
            }
            // TCP under another name: rules for TCP do not hold for it.
            let others = [0, libc::IPPROTO_TCP].into_iter().map(|protocol| if_other(2, number(protocol)));
            let others = others.collect::<Result<Vec<_>, _>>()?;
            add(libc::SYS_socket, [vec![if_equal(0, number(family))?], others].concat())?;
        }
        // Connects while it sends, which no rule for connecting sees.
        let fast_open = number(libc::MSG_FASTOPEN);
        for (call, argument) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
            add(call, vec![if_set(argument, fast_open)?])?;
        }
    }
    Ok(rules)
}

fn numbers(call: libc::c_long) -> Vec<i64> {
    #[cfg(target_arch = "x86_64")]
    return match call {
        // These have numbers of their own there.
        libc::SYS_ioctl => vec![call, X32 + 514],
        libc::SYS_ptrace => vec![call, X32 + 521],
        libc::SYS_sendmsg => vec![call, X32 + 518],
        libc::SYS_sendmmsg => vec![call, X32 + 538],
        libc::SYS_kexec_load => vec![call, X32 + 528],
        libc::SYS_process_vm_readv => vec![call, X32 + 539],
        libc::SYS_process_vm_writev => vec![call, X32 + 540],
        _ => vec![call, X32 + call],
    };
    #[cfg(not(target_arch = "x86_64"))]
    vec![call]
}

fn number(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn if_equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn if_other(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

fn if_masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

fn if_set(argument: u8, bit: u64) -> Result<SeccompCondition, BackendError> {
    if_masked(argument, bit, bit)
}
