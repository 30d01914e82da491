//! Headers of many layouts, for `tests/layouts.rs`: fields of any width at any bit, in either order of bytes, signed and not. And a
//! module of each twin of a refusal, for `tests/refusals.rs`: compiled together they cost a hundredth of as many programs.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

/// How many layouts of each order of bytes.
const LAYOUTS: usize = 40;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=tests/ui");
    let mut random = Random(0x5eed);
    let (mut headers, mut all) = (String::new(), String::new());
    for number in 0..2 * LAYOUTS {
        let little_endian = number >= LAYOUTS;
        layout(&mut headers, &mut random, number, little_endian);
        let _ = writeln!(all, "    layout{number}(bytes, values);");
    }
    let text = format!("{headers}\nfn every_layout(bytes: &[u8], values: &[u64]) {{\n{all}}}\n");
    let Some(out) = env::var_os("OUT_DIR") else {
        panic!("cargo tells where to write");
    };
    let write = |name: &str, text| fs::write(Path::new(&out).join(name), text);
    if let Err(error) = write("layouts.rs", text).and_then(|()| write("twins.rs", twins()?)) {
        panic!("{error}");
    }
}

/// A module of each twin, with a test that runs it.
fn twins() -> io::Result<String> {
    let mut all = String::new();
    let ui = env::current_dir()?.join("tests/ui");
    for class in fs::read_dir(ui)? {
        let class = class?;
        let mut cases: Vec<_> = fs::read_dir(class.path().join("pass"))?
            .map(|case| Ok(case?.path()))
            .collect::<io::Result<_>>()?;
        cases.sort();
        let _ = writeln!(all, "mod r#{} {{", class.file_name().display());
        for case in cases {
            let name = case.file_stem().unwrap_or_default();
            let _ = writeln!(
                all,
                "    mod r#{} {{\n        include!({case:?});\n        #[test]\n        fn compiles_and_runs() {{\n            main();\n        }}\n    }}",
                name.display()
            );
        }
        all.push_str("}\n");
    }
    Ok(all)
}

/// A header of four to nine fields, and the call that tests it.
fn layout(out: &mut String, random: &mut Random, number: usize, little_endian: bool) {
    let mut widths: Vec<usize> = (0..3 + random.below(6))
        .map(|_| 1 + random.below(64))
        .collect();
    // A wide field behind a narrow one, so that it starts within a byte; then bits that fill the last one.
    widths.insert(0, 1 + number % 7);
    widths.insert(1, 64 - random.below(30));
    let bits: usize = widths.iter().sum();
    if !bits.is_multiple_of(8) {
        widths.push(8 - bits % 8);
    }
    let bytes = widths.iter().sum::<usize>() / 8;
    let order = if little_endian { "#[header(le)]\n" } else { "" };
    let (mut fields, mut tests, mut offset) = (String::new(), String::new(), 0);
    for (n, bits) in widths.into_iter().enumerate() {
        let signed = bits > 1 && random.below(3) == 0;
        let sign = if signed { 'i' } else { 'u' };
        let _ = writeln!(fields, "    pub f{n}: {sign}{bits},");
        let _ = writeln!(
            tests,
            "    f{n} set_f{n}: {sign}{bits}, {offset}, {bits}, {signed};"
        );
        offset += bits;
    }
    let _ = writeln!(
        out,
        "#[derive(Clone, Debug, PartialEq, Header)]\n{order}pub struct Layout{number} {{\n{fields}}}\n\
         layout! {{ layout{number}, Layout{number}, {bytes}, {little_endian};\n{tests}}}"
    );
}

/// The same numbers each time (Knuth's linear congruential generator).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
