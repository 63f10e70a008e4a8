//! Turns the `.lalrpop` grammars under `src/` into parsers in `OUT_DIR`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    lalrpop::Configuration::new().emit_rerun_directives(true).process_dir("src")
}
