//! How rows of another API take the form of the source, as data: for each property where it comes from.

/// One property of the form, and where it comes from.
#[derive(Debug)]
pub struct Field {
    /// Its name in the form.
    pub name: &'static str,
    /// How it is had.
    pub take: Take,
}

/// How a property is had. Names with dots lead into objects.
#[derive(Debug)]
pub enum Take {
    /// The first of these that is there and not null, as it stands.
    Any(&'static [&'static str]),
    /// A word, its first letter in upper case; but for these, each with its word in the form.
    Word(&'static str, &'static [(&'static str, &'static str)]),
    /// A number that comes as text.
    Number(&'static str),
    /// A number; none is 0.
    Total(&'static str),
    /// True or false, which come as 1 and 0.
    Flag(&'static str),
    /// Lists one behind the other, each of which may come as the text of its JSON.
    Lists(&'static [&'static str]),
    /// Texts joined as the vendor joins the parts of an id.
    Joined(&'static [&'static str]),
    /// Of an element with `@odata.type`: the kind that it names, its first letter in upper case.
    Kind,
    /// The same of one element of an array; null where there is none.
    Of(&'static Pick, &'static Self),
    /// An object with these properties of one element of an array; null where there is none.
    Object(&'static Pick, &'static [Field]),
    /// The elements of an array, but for one kind, each in this form.
    Each {
        /// The array.
        array: &'static str,
        /// The kind that is left out; empty: none.
        but: &'static str,
        /// The form of an element.
        fields: &'static [Field],
    },
    /// It is not to be had: null.
    Nothing,
}

/// One element of an array of typed elements.
#[derive(Debug)]
pub struct Pick {
    /// The array.
    pub array: &'static str,
    /// The kind of the elements that are looked at.
    pub kind: &'static str,
    /// The first that has one of these values in this list, best first; else the first of all.
    pub prefer: &'static [(&'static str, &'static [&'static str])],
}

/// What two versions of one entity are compared by when they come from two APIs: what either shows in the same way.
#[derive(Debug)]
pub struct Core {
    /// What ids of one of them may begin with and those of the other need not.
    pub prefixes: &'static [&'static str],
    /// Words of the form, compared without case.
    pub words: &'static [&'static str],
    /// Words that mean that nothing is known, as null does.
    pub unknown: &'static [&'static str],
    /// Arrays whose length counts.
    pub lengths: &'static [&'static str],
    /// The array whose different elements count.
    pub array: &'static str,
    /// The property that names an element's kind.
    pub kind: &'static str,
    /// What names an element of a kind: of each list the first that is there. Elements of other kinds do not count.
    pub parts: &'static [(&'static str, &'static [&'static [&'static str]])],
}

/// A property that comes as it is.
pub(super) const fn same(name: &'static str, from: &'static [&'static str]) -> Field {
    Field { name, take: Take::Any(from) }
}

/// A property that is not to be had.
pub(super) const fn nothing(name: &'static str) -> Field {
    Field { name, take: Take::Nothing }
}

/// A property that is had in another way.
pub(super) const fn field(name: &'static str, take: Take) -> Field {
    Field { name, take }
}
