//! The binary `loom-replay`: asks of recorded runs whether they are whole, and what other terms would have made of them.

fn main() -> std::process::ExitCode {
    loom_cli::loom_replay()
}
