//! System calls by number: all there are.

use crate::attacks::Call;
#[cfg(target_arch = "x86_64")]
use crate::attacks::X32;
use nix::errno::Errno;
use sandbox::{Is, Rule, When};

/// Larger than the number of any call there is.
const NUMBERS: i64 = 600;
/// uretprobe and uprobe: the kernel exempts them from every filter. Outside of the trampoline that it makes itself for a
/// traced process, the first is SIGILL and the second an error.
#[cfg(target_arch = "x86_64")]
const EXEMPT: &[i64] = &[335, 336];
#[cfg(target_arch = "aarch64")]
const EXEMPT: &[i64] = &[];

/// Every call that must kill, when all bits of all its arguments are set: those in no table, those of x32, and those of
/// the table that want more of an argument than not to be a certain descriptor. As arguments, all ones are no descriptor,
/// no address and no known flag, so that a filter that does not act does little harm. (Zeros are standard input, and its
/// mode.)
pub(crate) fn forbidden(rules: impl Iterator<Item = &'static Rule>) -> Vec<i64> {
    let rules: Vec<_> = rules.collect();
    let permitted = |number: i64| {
        rules.iter().any(|rule| {
            rule.call == number
                && match rule.when {
                    When::Always => true,
                    When::Args(lists) => {
                        lists.iter().any(|all| all.iter().all(|arg| matches!(arg.is, Is::Not(_))))
                    }
                }
        })
    };
    let mut calls: Vec<i64> =
        (0..NUMBERS).filter(|number| !EXEMPT.contains(number) && !permitted(*number)).collect();
    #[cfg(target_arch = "x86_64")]
    calls.extend((0..NUMBERS).map(|number| number | X32));
    calls
}

/// Makes the call `number`.
pub(crate) fn make((number, [a, b, c, d, e, f]): Call) -> Result<(), Errno> {
    // SAFETY: in a confined process, which is what this is for, the filter stops every call that `attack` and
    // `forbidden` list before the kernel looks at an argument. Where it does not, the test process suffers.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(result).map(drop)
}

/// A call through the 32 bit entrance of an x86_64 kernel, where calls have other numbers. All arguments are 0: no
/// address, and no flag.
#[cfg(target_arch = "x86_64")]
pub(crate) fn make_compat(number: u32) -> Result<(), Errno> {
    let mut result = number;
    // SAFETY: int 0x80 takes its arguments from the lower halves of six registers, returns its result in eax and
    // clobbers r8 to r11. rbx and rbp are the compiler's, and are put back before it looks.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "push rbp",
            "xor ebx, ebx",
            "xor ebp, ebp",
            "int 0x80",
            "pop rbp",
            "pop rbx",
            inout("eax") result,
            in("ecx") 0, in("edx") 0, in("esi") 0, in("edi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    Errno::result(result.cast_signed()).map(drop)
}
