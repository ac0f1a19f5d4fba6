//! A guard on its own, for programs that embed `loom-tools` without the `loom` binary. See `guard.rs`.

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let code = match arguments.next() {
        Some(first) if first == loom_tools::GUARD_ARGUMENT => loom_tools::guard_main(arguments),
        _ => {
            eprintln!("error: loom-guard is started by Loom only");
            2
        }
    };
    std::process::exit(code);
}
