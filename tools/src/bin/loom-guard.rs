//! A guard on its own, which is also the stage of fences, for programs that embed `loom-tools` without the `loom` binary. See `hidden.rs`.

fn main() {
    let code = loom_tools::hidden_main(std::env::args_os().skip(1)).unwrap_or_else(|| {
        eprintln!("error: loom-guard is started by Loom only");
        2
    });
    std::process::exit(code);
}
