//! Direct addresses: each instruction that takes the address of a shared value gets the descriptor
//! of the value's map. Works on the bytes of an object, before the loader reads them.
//!
//! In C a shared value is a variable in a section of its own, `.shared.NAME` (`shared_value.h`).
//! The loader ignores such a section. Of a section `.bss.NAME` it would make a map, and overwrite the
//! contents of a pinned one at every load.

use std::mem::offset_of;

use object::elf::{FileHeader64, R_BPF_64_64, Rel64, SHF_EXECINSTR, SHT_SYMTAB, SectionHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{LittleEndian, SectionIndex, SymbolIndex, U64};

use crate::maps::values::DirectValue;

/// Start of the section names of shared values.
const SECTION: &str = ".shared.";

/// Bytes of the two instructions that load a 64-bit constant.
const LOAD: usize = 16;
/// Opcode of the first one: `BPF_LD | BPF_IMM | BPF_DW`.
const LOAD_OPCODE: u8 = 0x18;
/// Its source register if the constant is the address of a byte of a map's value.
const BPF_PSEUDO_MAP_VALUE: u8 = 2;

const LE: LittleEndian = LittleEndian;
type Elf = FileHeader64<LittleEndian>;
type Relocation = Rel64<LittleEndian>;

/// The bytes of an object, at the alignment that ELF readers expect.
#[derive(Debug)]
pub(crate) struct Image {
    words: Vec<u64>,
    size: usize,
}

impl Image {
    fn copy_of(object: &[u8]) -> Self {
        let mut image = Self {
            words: vec![0; object.len().div_ceil(size_of::<u64>())],
            size: object.len(),
        };
        image.replace(0, object);
        image
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.size]
    }

    fn replace(&mut self, at: usize, bytes: &[u8]) {
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        all[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Bytes that replace those at an offset of the object.
struct Edit {
    at: usize,
    bytes: Vec<u8>,
}

/// Copies an object, with all addresses of shared values resolved and their relocations removed.
///
/// # Errors
/// If the object has a shared value that is not one of `values` or has another size, or a table that is
/// larger than its map, or an instruction uses the address of a shared value in a way that is not understood.
pub(crate) fn resolve(object: &[u8], values: &[DirectValue]) -> Result<Image, String> {
    let edits = Parsed::new(object, values)?.edits()?;
    let mut image = Image::copy_of(object);
    for edit in edits {
        image.replace(edit.at, &edit.bytes);
    }
    Ok(image)
}

/// An object, and the shared value of each section that stands for one.
struct Parsed<'a> {
    bytes: &'a [u8],
    /// Offset of the first section header.
    headers: usize,
    sections: SectionTable<'a, Elf>,
    symbols: SymbolTable<'a, Elf>,
    /// By index of the section.
    values: Vec<Option<DirectValue>>,
}

impl<'a> Parsed<'a> {
    fn new(bytes: &'a [u8], known: &[DirectValue]) -> Result<Self, String> {
        let header = read(Elf::parse(bytes))?;
        let sections = read(header.sections(LE, bytes))?;
        let values = sections.iter().map(|section| {
            let name = read(sections.section_name(LE, section))?;
            let name = String::from_utf8_lossy(name);
            let value = name.strip_prefix(SECTION);
            value
                .map(|value| find_value(value, section.sh_size(LE), known))
                .transpose()
        });
        Ok(Self {
            bytes,
            headers: header.e_shoff(LE) as usize,
            values: values.collect::<Result<_, _>>()?,
            symbols: read(sections.symbols(LE, bytes, SHT_SYMTAB))?,
            sections,
        })
    }

    /// All changes to the object.
    fn edits(&self) -> Result<Vec<Edit>, String> {
        let mut edits = Vec::new();
        for (index, section) in self.sections.enumerate() {
            let Some((relocations, _)) = read(section.rel(LE, self.bytes))? else {
                continue;
            };
            // Relocations of debug information stay: loaders ignore them.
            let program = read(self.sections.section(section.info_link(LE)))?;
            if program.sh_flags(LE) & u64::from(SHF_EXECINSTR) == 0 {
                continue;
            }
            let mut rest = Vec::new();
            for relocation in relocations {
                match self.target(relocation)? {
                    Some(target) => edits.push(self.resolve(program, relocation, target)?),
                    None => rest.push(*relocation),
                }
            }
            if rest.len() < relocations.len() {
                edits.extend(self.shorten(index, section, &rest));
            }
        }
        Ok(edits)
    }

    /// The shared value that a relocation refers to, and the offset of its symbol in the value.
    fn target(&self, relocation: &Relocation) -> Result<Option<(DirectValue, u64)>, String> {
        let index = SymbolIndex(relocation.r_sym(LE) as usize);
        let symbol = read(self.symbols.symbol(index))?;
        let section = read(self.symbols.symbol_section(LE, symbol, index))?;
        let value = section.and_then(|SectionIndex(index)| *self.values.get(index)?);
        Ok(value.map(|value| (value, symbol.st_value(LE))))
    }

    /// The two instructions of a relocation, with the address of the value's byte.
    fn resolve(
        &self,
        program: &SectionHeader64<LittleEndian>,
        relocation: &Relocation,
        (value, symbol_offset): (DirectValue, u64),
    ) -> Result<Edit, String> {
        let at = program.sh_offset(LE) + relocation.r_offset.get(LE);
        let fail = |problem: String| {
            let name = value.name;
            Err(format!(
                "the instruction at byte {at} uses the address of {name}: {problem}"
            ))
        };
        let kind = relocation.r_type(LE);
        if kind != R_BPF_64_64 {
            return fail(format!(
                "its relocation is of kind {kind}, not {R_BPF_64_64}"
            ));
        }
        let at = at as usize;
        let Some(mut load) = self
            .bytes
            .get(at..)
            .and_then(|b| b.first_chunk::<LOAD>().copied())
        else {
            return fail("it is outside the object".into());
        };
        if load[0] != LOAD_OPCODE || load[1] >> 4 != 0 {
            return fail("it does not load a constant".into());
        }
        // The compiler adds a constant offset in the place of the descriptor.
        let [.., a, b, c, d] = *load.first_chunk::<8>().expect("16 bytes have 8");
        let offset = i64::from(i32::from_le_bytes([a, b, c, d])) + symbol_offset as i64;
        if !(0..value.size as i64).contains(&offset) {
            return fail(format!("byte {offset} is outside its {} bytes", value.size));
        }
        load[1] |= BPF_PSEUDO_MAP_VALUE << 4;
        load[4..8].copy_from_slice(&value.map.to_le_bytes());
        load[12..16].copy_from_slice(&(offset as u32).to_le_bytes());
        Ok(Edit {
            at,
            bytes: load.into(),
        })
    }

    /// Leaves only these relocations in a section: writes them to its start, and their size into its
    /// header.
    fn shorten(
        &self,
        SectionIndex(index): SectionIndex,
        section: &SectionHeader64<LittleEndian>,
        rest: &[Relocation],
    ) -> [Edit; 2] {
        type Header = SectionHeader64<LittleEndian>;
        let bytes = object::pod::bytes_of_slice(rest);
        let size = U64::new(LE, bytes.len() as u64);
        let header = self.headers + index * size_of::<Header>();
        [
            Edit {
                at: section.sh_offset(LE) as usize,
                bytes: bytes.to_vec(),
            },
            Edit {
                at: header + offset_of!(Header, sh_size),
                bytes: object::pod::bytes_of(&size).to_vec(),
            },
        ]
    }
}

fn read<T>(result: object::read::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// The shared value with this name, which must have as many bytes as its section. Of a table the
/// section has only the beginning.
fn find_value(name: &str, size: u64, known: &[DirectValue]) -> Result<DirectValue, String> {
    let Some(value) = known.iter().find(|value| value.name == name) else {
        return Err(format!("no map holds the value {name}"));
    };
    let fits = match value.is_table {
        true => size <= value.size as u64,
        false => size == value.size as u64,
    };
    if !fits {
        return Err(format!(
            "the value {name} has {size} bytes in the object, {} in its map",
            value.size
        ));
    }
    Ok(*value)
}

#[cfg(test)]
mod tests {
    use ::object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget};
    use bailey_bpf::object::{ENTRY, POLICY};

    use super::*;
    use crate::maps::table::{Access, map_shapes};

    /// Each value with a descriptor of its own.
    fn values() -> Vec<DirectValue> {
        let settings = bailey_config::Settings {
            flows: 1,
            ..bailey_config::Settings::default()
        };
        let shapes = map_shapes(&settings).unwrap().into_iter();
        let direct = shapes.filter(|s| matches!(s.access, Access::Direct | Access::DirectTable));
        let numbered = direct.zip(100..);
        numbered
            .map(|(shape, map)| DirectValue {
                name: shape.name,
                size: shape.value_size as usize,
                is_table: shape.access == Access::DirectTable,
                map,
            })
            .collect()
    }

    /// A relocation of a program section, and the shared value that it refers to.
    #[derive(Debug, PartialEq, Eq)]
    struct Found {
        section: String,
        /// Offset of the instruction in its section, and in the object.
        at: (u64, u64),
        symbol: String,
        value: Option<String>,
    }

    fn relocations(image: &[u8]) -> Vec<Found> {
        let file = ::object::File::parse(image).unwrap();
        let mut all = Vec::new();
        for section in file.sections() {
            if section.kind() != ::object::SectionKind::Text {
                continue;
            }
            let (start, _) = section.file_range().unwrap();
            for (offset, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else {
                    panic!("{relocation:?}");
                };
                assert!(matches!(relocation.flags(), RelocationFlags::Elf { .. }));
                let symbol = file.symbol_by_index(index).unwrap();
                let target = symbol.section_index();
                let target = target.map(|at| file.section_by_index(at).unwrap());
                let target = target.map(|target| target.name().unwrap().to_owned());
                all.push(Found {
                    section: section.name().unwrap().to_owned(),
                    at: (offset, start + offset),
                    symbol: symbol.name().unwrap().to_owned(),
                    value: target.and_then(|name| Some(name.strip_prefix(SECTION)?.to_owned())),
                });
            }
        }
        all
    }

    /// The entry object, and the place of its first address of a shared value.
    fn entry_object() -> (Vec<u8>, usize) {
        let found = relocations(ENTRY);
        let first = found.iter().find(|found| found.value.is_some()).unwrap();
        (ENTRY.to_vec(), first.at.1 as usize)
    }

    #[test]
    fn every_direct_address_is_resolved() {
        for (object, at_least) in [(ENTRY, 20), (POLICY, 10)] {
            let image = resolve(object, &values()).unwrap();
            let (direct, others): (Vec<_>, Vec<_>) = relocations(object)
                .into_iter()
                .partition(|found| found.value.is_some());
            assert!(direct.len() >= at_least, "{}", direct.len());
            assert!(direct.iter().any(|found| found.section == ".text"));
            assert_eq!(relocations(image.bytes()), others);
            for found in &direct {
                let at = found.at.1 as usize;
                let load = &image.bytes()[at..at + LOAD];
                let value = values().into_iter();
                let value = value.into_iter().find(|value| value.name == found.symbol);
                let value = value.unwrap();
                assert_eq!(Some(value.name), found.value.as_deref());
                assert_eq!(load[1] >> 4, BPF_PSEUDO_MAP_VALUE, "{found:?}");
                assert_eq!(load[4..8], value.map.to_le_bytes(), "{found:?}");
                // The compiler has left the offset in the place of the descriptor.
                assert_eq!(load[12..16], object[at + 4..at + 8], "{found:?}");
            }
        }
    }

    #[test]
    fn bytes_around_addresses_stay() {
        let image = resolve(ENTRY, &values()).unwrap();
        let text = |image: &[u8]| {
            let file = ::object::File::parse(image).unwrap();
            let sections = file
                .sections()
                .filter(|section| !section.name().unwrap().starts_with(".rel"));
            let data = sections.map(|section| section.data().unwrap().to_vec());
            data.collect::<Vec<_>>()
        };
        let (mut before, mut after) = (text(ENTRY), text(image.bytes()));
        let names: Vec<String> = {
            let file = ::object::File::parse(ENTRY).unwrap();
            let sections = file.sections().map(|s| s.name().unwrap().to_owned());
            sections.filter(|name| !name.starts_with(".rel")).collect()
        };
        for found in relocations(ENTRY).iter().filter(|f| f.value.is_some()) {
            let section = names
                .iter()
                .position(|name| *name == found.section)
                .unwrap();
            let at = found.at.0 as usize;
            before[section][at..at + LOAD].fill(0);
            after[section][at..at + LOAD].fill(0);
        }
        assert!(before == after);
        assert_eq!(image.bytes().len(), ENTRY.len());
        assert_eq!(image.bytes().as_ptr() as usize % 8, 0);
    }

    #[test]
    fn unknown_value_is_refused() {
        let known: Vec<_> = values()
            .into_iter()
            .filter(|v| v.name != "control")
            .collect();
        let error = resolve(ENTRY, &known).unwrap_err();
        assert_eq!(error, "no map holds the value control");
    }

    #[test]
    fn value_of_another_size_is_refused() {
        for difference in [-8, 8] {
            let mut known = values();
            let control = known.iter_mut().find(|v| v.name == "control").unwrap();
            control.size = control.size.wrapping_add_signed(difference);
            let error = resolve(ENTRY, &known).unwrap_err();
            let expected = format!(
                "the value control has 64 bytes in the object, {} in its map",
                64 + difference
            );
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn table_may_be_larger_than_its_section() {
        let resize = |size: usize| {
            let mut known = values();
            let flows = known.iter_mut().find(|v| v.name == "flows").unwrap();
            flows.size = size;
            resolve(ENTRY, &known)
        };
        assert!(resize(1 << 29).is_ok());
        let error = resize(8).unwrap_err();
        assert!(
            error.ends_with("bytes in the object, 8 in its map"),
            "{error}"
        );
    }

    #[test]
    fn offset_moves_behind_the_descriptor() {
        let (mut object, at) = entry_object();
        object[at + 4..at + 8].copy_from_slice(&8_i32.to_le_bytes());
        let image = resolve(&object, &values()).unwrap();
        assert_eq!(image.bytes()[at + 12..at + 16], 8_u32.to_le_bytes());
    }

    #[test]
    fn offset_outside_the_value_is_refused() {
        for offset in [-1, 1 << 20] {
            let (mut object, at) = entry_object();
            object[at + 4..at + 8].copy_from_slice(&i32::to_le_bytes(offset));
            let error = resolve(&object, &values()).unwrap_err();
            assert!(
                error.contains(&format!("byte {offset} is outside")),
                "{error}"
            );
        }
    }

    #[test]
    fn other_instruction_is_refused() {
        let (mut object, at) = entry_object();
        object[at] = 0x85;
        let error = resolve(&object, &values()).unwrap_err();
        assert!(error.contains("does not load a constant"), "{error}");
    }
}
