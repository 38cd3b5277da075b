//! Writes the seeds of the fuzz targets. Without arguments into `fuzz/seeds/`, which is in the repository; with
//! a target and a folder, frames of other projects' captures, which are not.

use std::error::Error;
use std::path::Path;

use keysteer_tests::fuzzing::{TARGETS, folder, seeds};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            for (target, _) in TARGETS {
                let found = seeds::of(target)?;
                seeds::write(&found, &folder().join("seeds").join(target))?;
                println!("{target}: {} seeds", found.len());
            }
        }
        [target, to] => seeds::write(&seeds::shared(target)?, Path::new(to))?,
        _ => return Err("usage: fuzz-seeds [TARGET FOLDER]".into()),
    }
    Ok(())
}
