//! Writes the seeds of every target to `corpus/TARGET`, where `cargo fuzz` looks for them.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, _, seeds) in opte_fuzz::seeds::all() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        for (n, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed{n:02}")), seed)?;
        }
    }
    let folder = corpus.join("port_process");
    for (n, input) in opte_fuzz::seeds::kept().enumerate() {
        fs::write(folder.join(format!("kept{n:04}")), input)?;
    }
    Ok(())
}
