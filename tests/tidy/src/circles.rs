//! Which file of a crate uses which: the file that defines a name is used by each file that says it, however often the name was
//! re-exported on its way. Files that use each other, directly or over others, are a circle: none can be read alone.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Path, UseTree, VisRestricted};

use crate::SourceFile;

/// Names from the crate's root down, such as `["log", "kafka"]`.
type ModulePath = Vec<String>;

/// Re-exports that are followed for one name; more would be a circle of them.
const HOPS_MAX: usize = 16;

#[derive(Default)]
struct Module {
    file: String,
    defines: BTreeSet<String>,
    children: BTreeSet<String>,
    /// What a `use` calls by a name, as it stands there.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Every path that is said in code, and every one that is imported to be used and not to be passed on.
    said: BTreeSet<Vec<String>>,
}

/// Which files each file uses, of a crate whose sources lie in the folder `src` (a path that ends in `/`). Tests are left out.
pub fn uses(src: &str, files: &[SourceFile]) -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules(src, files);
    let mut uses = BTreeMap::<_, BTreeSet<_>>::new();
    for (at, module) in &modules {
        let of = uses.entry(module.file.clone()).or_default();
        let found = module.said.iter().filter_map(|path| definer(&modules, at, path, HOPS_MAX));
        of.extend(found.filter(|file| *file != module.file));
    }
    uses
}

/// Each group of files that use each other in a circle, and a shortest way around.
pub fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for file in uses.keys() {
        if seen.contains(file) {
            continue;
        }
        if let Some(way) = way_back(uses, file) {
            seen.extend(way.iter().cloned());
            circles.push(way);
        }
    }
    circles
}

/// A shortest way from a file over those that it uses back to itself, breadth first.
fn way_back(uses: &BTreeMap<String, BTreeSet<String>>, from: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|file| uses.get(file)).into_iter().flatten() {
                if next == from {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way.iter().chain([next]).cloned().collect());
                }
            }
        }
        ways = longer;
    }
    None
}

fn modules(src: &str, files: &[SourceFile]) -> BTreeMap<ModulePath, Module> {
    let mut modules = BTreeMap::new();
    for file in files.iter().filter(|f| f.path.starts_with(src) && !is_test(&f.path)) {
        let Ok(parsed) = syn::parse_file(&file.text) else { continue };
        if !parsed.attrs.iter().any(is_for_tests) {
            let at = module_path(&file.path[src.len()..]);
            read(&mut modules, &at, &file.path, &parsed.items);
        }
    }
    modules
}

/// Tests, and what only starts a crate's library.
fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.contains("/bin/") || path.ends_with("/main.rs")
}

/// `log/embedded/mod.rs` and `log/embedded.rs` are both `log::embedded`.
fn module_path(below_src: &str) -> ModulePath {
    let name = below_src.trim_end_matches(".rs");
    let name = name.strip_suffix("/mod").unwrap_or(name);
    if ["lib", "main"].contains(&name) {
        return Vec::new();
    }
    name.split('/').map(str::to_owned).collect()
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let Ok(list) = attribute.meta.require_list() else { return false };
    attribute.path().is_ident("cfg")
        && list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|w| w == "test")
}

fn read(modules: &mut BTreeMap<ModulePath, Module>, at: &[String], file: &str, items: &[Item]) {
    let mut reader = Reader { module: Module { file: file.to_owned(), ..Module::default() }, inline: Vec::new() };
    for item in items {
        reader.define(item);
        reader.visit_item(item);
    }
    modules.insert(at.to_vec(), reader.module);
    for (name, items) in reader.inline {
        let path: ModulePath = at.iter().cloned().chain([name]).collect();
        read(modules, &path, file, &items);
    }
}

/// Names of the types in a macro's tokens.
fn declared(tokens: &str) -> Vec<String> {
    let words: Vec<&str> = tokens.split_whitespace().collect();
    let types = words.windows(2).filter(|pair| ["struct", "enum"].contains(&pair[0]));
    types.map(|pair| pair[1].to_owned()).collect()
}

struct Reader {
    module: Module,
    inline: Vec<(String, Vec<Item>)>,
}

impl Reader {
    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(i) => &i.ident,
            Item::Enum(i) => &i.ident,
            Item::Fn(i) => &i.sig.ident,
            Item::Static(i) => &i.ident,
            Item::Struct(i) => &i.ident,
            Item::Trait(i) => &i.ident,
            Item::Type(i) => &i.ident,
            Item::Union(i) => &i.ident,
            // What a macro of ours declares looks like what it makes.
            Item::Macro(i) => return self.module.defines.extend(declared(&i.mac.tokens.to_string())),
            _ => return,
        };
        self.module.defines.insert(name.to_string());
    }

    fn import(&mut self, tree: &UseTree, before: &[String], passes_on: bool) {
        let joined = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        let (path, name) = match tree {
            UseTree::Path(p) => return self.import(&p.tree, &joined(&p.ident), passes_on),
            UseTree::Group(g) => return g.items.iter().for_each(|tree| self.import(tree, before, passes_on)),
            UseTree::Glob(_) => return self.module.globs.push(before.to_vec()),
            UseTree::Name(n) if n.ident == "self" => (before.to_vec(), before.last().cloned().unwrap_or_default()),
            UseTree::Name(n) => (joined(&n.ident), n.ident.to_string()),
            UseTree::Rename(r) => (joined(&r.ident), r.rename.to_string()),
        };
        if !passes_on {
            self.module.said.insert(path.clone());
        }
        self.module.imports.insert(name, path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(i) => &i.attrs,
            Item::Impl(i) => &i.attrs,
            Item::Mod(i) => &i.attrs,
            Item::Struct(i) => &i.attrs,
            Item::Enum(i) => &i.attrs,
            Item::Use(i) => &i.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.children.insert(item.ident.to_string());
        if let Some((_, items)) = &item.content {
            self.inline.push((item.ident.to_string(), items.clone()));
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let passes_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, &[], passes_on);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.module.said.insert(path.segments.iter().map(|s| s.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// Who may see an item is no use of it.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// The file that defines what `path` names, said in the module `at`. None: another crate, a module itself, or a local name.
fn definer(modules: &BTreeMap<ModulePath, Module>, at: &[String], path: &[String], hops: usize) -> Option<String> {
    let hops = hops.checked_sub(1)?;
    let (mut at, mut rest) = (at.to_vec(), path);
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => break,
        }
        rest = others;
    }
    loop {
        let module = modules.get(&at)?;
        let (first, others) = rest.split_first()?;
        if module.defines.contains(first) {
            return Some(module.file.clone());
        }
        if module.children.contains(first) {
            at.push(first.clone());
            rest = others;
            continue;
        }
        let through = |path: &[String]| path.iter().chain(others).cloned().collect::<Vec<_>>();
        if let Some(import) = module.imports.get(first) {
            return if import == path { None } else { definer(modules, &at, &through(import), hops) };
        }
        let mut globs = module.globs.iter().map(|glob| glob.iter().chain([first]).cloned().collect::<Vec<_>>());
        return globs.find_map(|path| definer(modules, &at, &through(&path), hops));
    }
}
