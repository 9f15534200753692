//! What `sanitize.sh` and `valgrind.sh` must find, or they look at nothing: an octet that was given back is read.

fn main() {
    let octets = vec![7_u8; 64];
    let place = octets.as_ptr();
    drop(octets);
    // SAFETY: there is none; this is the fault.
    let octet = unsafe { place.read_volatile() };
    std::process::exit(i32::from(octet == 8));
}
