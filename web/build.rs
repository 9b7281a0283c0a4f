//! Puts the CSS files together into one and the JS files into another, and names their version.
//!
//! One request each, no bundler: the files are joined as they are, in the order of their names. The version is a hash of
//! everything, so that `/assets/{version}/…` may be kept by browsers for ever. `src/asset.rs` embeds the folder that comes out.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    println!("cargo::rerun-if-changed={}", assets.display());
    println!("cargo::rerun-if-changed=../templates");

    let css = joined(&assets.join("css"), "css");
    let js = joined(&assets.join("js"), "js");
    let icon = fs::read(assets.join("icon.svg")).expect("assets/icon.svg is there");
    let firing = fs::read(assets.join("icon-firing.svg")).expect("assets/icon-firing.svg is there");

    // FNV-1a: only has to differ when the files do.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in css.iter().chain(&js).chain(&icon).chain(&firing) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let folder = out.join("assets");
    fs::create_dir_all(&folder).expect("OUT_DIR can be written");
    for (name, bytes) in [("sillage.css", css), ("sillage.js", js), ("icon.svg", icon), ("icon-firing.svg", firing)] {
        fs::write(folder.join(name), bytes).expect("OUT_DIR can be written");
    }
    // rust-embed wants its folder as a literal; reading $OUT_DIR there needs a feature of it with five more crates.
    let embed = format!(
        "/// What `build.rs` put together, inside the program.\n#[derive(rust_embed::RustEmbed)]\n#[folder = {folder:?}]\nstruct Files;\n"
    );
    fs::write(out.join("files.rs"), embed).expect("OUT_DIR can be written");
    println!("cargo::rustc-env=SILLAGE_ASSETS={hash:016x}");
}

/// All files of a folder in the order of their names, each under a line with its name.
fn joined(folder: &Path, extension: &str) -> Vec<u8> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("can't list {}: {error}", folder.display()))
        .map(|file| file.expect("a folder's files can be listed").path())
        .filter(|file| file.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_name().expect("a listed file has a name").to_string_lossy().into_owned();
        all.extend_from_slice(format!("/* {name} */\n").as_bytes());
        all.extend(fs::read(&file).unwrap_or_else(|error| panic!("can't read {}: {error}", file.display())));
        all.push(b'\n');
    }
    all
}
