//! What `strace -f` says about the two processes of a delivery.

use std::collections::BTreeMap;

use nix::unistd::Pid;

/// System calls that give a process anything that it has not: files, processes, programs, sockets.
pub(crate) const GAINS: [&str; 20] = [
    "open",
    "openat",
    "openat2",
    "creat",
    "open_by_handle_at",
    "execve",
    "execveat",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "ptrace",
    "process_vm_readv",
    "setuid",
    "setresuid",
    "unlink",
    "unlinkat",
    "rename",
    "mknod",
    "kill",
];

/// One system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its arguments, as far as they are known when it begins; the result too, when it was not interrupted.
    pub(crate) arguments: &'a str,
    /// The end of its last line: `= result`.
    pub(crate) end: &'a str,
}

/// The calls of each process, in order, from the output of `strace -f`: `PID name(...) = result`, with calls of several
/// processes cut into a line that ends in `<unfinished ...>` and one that begins with `<... name resumed>`.
pub(crate) fn calls(trace: &str) -> BTreeMap<Pid, Vec<Call<'_>>> {
    let mut calls: BTreeMap<Pid, Vec<Call<'_>>> = BTreeMap::new();
    for line in trace.lines() {
        let (process, call) = line.split_once(' ').expect("a process and its call");
        let process = Pid::from_raw(process.parse().expect("a process id"));
        let call = call.trim_start();
        let of_process = calls.entry(process).or_default();
        if let Some(resumed) = call.strip_prefix("<... ") {
            let begun = of_process.last_mut().expect("the beginning of the call");
            assert_eq!(resumed.split(' ').next(), Some(begun.name));
            begun.end = resumed;
        } else if let Some((name, rest)) = call.split_once('(') {
            of_process.push(Call { name, arguments: rest, end: rest });
        }
    }
    calls
}

/// What a process called after its filter for system calls was in force.
pub(crate) fn after_the_filter<'a, 'b>(calls: &'b [Call<'a>]) -> &'b [Call<'a>] {
    let installs = |call: &Call<'_>| {
        let is_filter = call.name == "seccomp" && call.arguments.contains("SECCOMP_SET_MODE_FILTER")
            || call.name == "prctl" && call.arguments.contains("PR_SET_SECCOMP");
        is_filter && call.end.ends_with("= 0")
    };
    let last = calls.iter().rposition(installs).expect("a filter for system calls");
    calls.get(last + 1..).unwrap_or_default()
}

/// The names of `calls`.
pub(crate) fn names<'a>(calls: &[Call<'a>]) -> Vec<&'a str> {
    calls.iter().map(|call| call.name).collect()
}
