//! The program that qmail-rspawn runs. Everything is in the library, so that tests reach it.

fn main() -> ! {
    qmail_remote::run(qmail_remote::network::enter)
}
