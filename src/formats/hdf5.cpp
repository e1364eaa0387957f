// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/hdf5.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <limits>

#include "multigrnformer/base/error.hpp"

// The call's text goes into the error, so that a report tells which of HDF5's functions refused.
#define MGRN_H5(action, call) checked((call), (action), #call)

namespace mgrn::formats::hdf5 {
namespace {

// HDF5 prints its error stack by default; ours is the only voice on stderr. Per thread in thread-safe builds.
void silence() {
  thread_local bool silent = false;
  if (!silent) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    silent = true;
  }
}

// HDF5's innermost reason, which is the one that says something ("truncated file", "inflate() failed").
std::string innermost_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned position, const H5E_error2_t* entry, void* target) -> herr_t {
        if (position == 0 && entry->desc != nullptr) {
          *static_cast<std::string*>(target) = entry->desc;
        }
        return 0;
      },
      &reason);
  H5Eclear2(H5E_DEFAULT);
  return reason;
}

std::string function_of(const char* expression) {
  const std::string text(expression);
  return text.substr(0, text.find('('));
}

[[noreturn]] void raise(bool writing, base::ErrorText text) {
  if (writing) {
    throw base::OutputError(std::move(text));
  }
  throw base::DataError(std::move(text));
}

[[noreturn]] void raise_call(const Origin& origin, const std::string& what, const char* expression) {
  const std::string reason = innermost_reason();
  raise(origin.writing,
        {.what = what,
         .file = origin.file,
         .got = function_of(expression) + " failed" + (reason.empty() ? "" : ": " + reason),
         .hint = origin.writing ? "check free space and permissions of the folder, and HDF5's MPI-IO driver"
                                : "copy the file again from its source; h5dump -H shows what can be read"});
}

[[noreturn]] void raise_missing(const Origin& origin, const std::string& what, bool of_another_kind) {
  raise(origin.writing, {.what = what + " is missing",
                         .file = origin.file,
                         .got = of_another_kind ? "an object of another kind" : "",
                         .hint = "check that this is the file you meant; h5dump -n lists its content"});
}

ElementKind kind_of_type(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_ENUM:
      return ElementKind::integer;
    case H5T_FLOAT:
      return ElementKind::floating;
    case H5T_STRING:
      return ElementKind::string;
    default:
      return ElementKind::other;
  }
}

const char* kind_name(ElementKind kind) {
  switch (kind) {
    case ElementKind::integer:
      return "integers";
    case ElementKind::floating:
      return "floating-point numbers";
    case ElementKind::string:
      return "strings";
    case ElementKind::other:
      break;
  }
  return "elements of another kind";
}

std::string shape_text(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + ")";
}

std::vector<hsize_t> to_hsize(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

std::uint64_t product(const Shape& shape) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : shape) {
    if (extent != 0 && elements > std::numeric_limits<std::uint64_t>::max() / extent) {
      return std::numeric_limits<std::uint64_t>::max();
    }
    elements *= extent;
  }
  return elements;
}

std::string trimmed(const char* text, std::size_t width, H5T_str_t padding) {
  std::string value(text, strnlen(text, width));
  if (padding == H5T_STR_SPACEPAD) {
    value.erase(value.find_last_not_of(' ') + 1);
  }
  return value;
}

Identifier access_list(hid_t access, const Origin& origin) {
  const hid_t copy = access == H5P_DEFAULT ? H5Pcreate(H5P_FILE_ACCESS) : H5Pcopy(access);
  Identifier list(copy, H5Pclose);
  if (!list || H5Pset_fclose_degree(list.get(), H5F_CLOSE_STRONG) < 0) {
    raise_call(origin, "cannot set up access to the HDF5 file", "H5Pcreate(H5P_FILE_ACCESS)");
  }
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERS_MAJOR == 1 && H5_VERS_MINOR == 12 && H5_VERS_RELEASE < 1)
  // Locks fail on many parallel file systems. What we read is never changed in place, and what we write
  // is a temporary file of our own.
  H5Pset_file_locking(list.get(), false, true);
#endif
  return list;
}

}  // namespace

void Object::fail(const std::string& what, const std::string& expected, const std::string& got,
                  const std::string& hint) const {
  raise(origin_->writing, {.what = what + " in '" + path_ + "'",
                           .file = origin_->file,
                           .expected = expected,
                           .got = got,
                           .hint = hint});
}

void Object::call_failed(const std::string& action, const char* expression) const {
  raise_call(*origin_, "cannot " + action + " '" + path_ + "'", expression);
}

void Object::too_large(std::uint64_t elements) const {
  fail("dataset does not fit in memory", "a smaller or undamaged dataset",
       std::to_string(elements) + " elements", "check the file with h5dump -H");
}

bool Object::has_attribute(const std::string& name) const {
  silence();
  return MGRN_H5("look up attribute '" + name + "' of", H5Aexists(id(), name.c_str())) > 0;
}

Identifier Object::open_attribute(const std::string& name) const {
  silence();
  if (!has_attribute(name)) {
    fail("attribute '" + name + "' is missing", "", "");
  }
  return {MGRN_H5("open attribute '" + name + "' of", H5Aopen(id(), name.c_str(), H5P_DEFAULT)), H5Aclose};
}

ElementKind Object::attribute_kind(const std::string& name) const {
  const Identifier attribute = open_attribute(name);
  const Identifier type(MGRN_H5("read attribute '" + name + "' of", H5Aget_type(attribute.get())), H5Tclose);
  return kind_of_type(type.get());
}

std::uint64_t Object::attribute_size(const Identifier& attribute, const std::string& name,
                                     bool integral) const {
  const Identifier type(MGRN_H5("read attribute '" + name + "' of", H5Aget_type(attribute.get())), H5Tclose);
  const ElementKind kind = kind_of_type(type.get());
  if (kind != ElementKind::integer && (integral || kind != ElementKind::floating)) {
    fail("attribute '" + name + "' has the wrong type", integral ? "integers" : "numbers", kind_name(kind));
  }
  const Identifier space(MGRN_H5("read attribute '" + name + "' of", H5Aget_space(attribute.get())),
                         H5Sclose);
  return static_cast<std::uint64_t>(
      MGRN_H5("read attribute '" + name + "' of", H5Sget_simple_extent_npoints(space.get())));
}

void Object::fill_attribute(const Identifier& attribute, const std::string& name, hid_t memory_type,
                            void* target) const {
  MGRN_H5("read attribute '" + name + "' of", H5Aread(attribute.get(), memory_type, target));
}

std::vector<std::string> Object::string_attribute_values(const std::string& name) const {
  const std::string action = "read attribute '" + name + "' of";
  const Identifier attribute = open_attribute(name);
  const Identifier type(MGRN_H5(action, H5Aget_type(attribute.get())), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_STRING) {
    fail("attribute '" + name + "' has the wrong type", "a string", kind_name(kind_of_type(type.get())));
  }
  const Identifier space(MGRN_H5(action, H5Aget_space(attribute.get())), H5Sclose);
  const auto count = static_cast<std::size_t>(MGRN_H5(action, H5Sget_simple_extent_npoints(space.get())));
  std::vector<std::string> values;
  if (count == 0) {
    return values;
  }
  values.reserve(count);
  if (MGRN_H5(action, H5Tis_variable_str(type.get())) > 0) {
    std::vector<char*> texts(count, nullptr);
    MGRN_H5(action, H5Aread(attribute.get(), type.get(), texts.data()));
    for (const char* text : texts) {
      values.emplace_back(text == nullptr ? "" : text);
    }
    H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, texts.data());
  } else {
    const std::size_t width = H5Tget_size(type.get());
    std::vector<char> texts(count * width);
    MGRN_H5(action, H5Aread(attribute.get(), type.get(), texts.data()));
    for (std::size_t i = 0; i < count; ++i) {
      values.push_back(trimmed(texts.data() + i * width, width, H5Tget_strpad(type.get())));
    }
  }
  return values;
}

std::string Object::string_attribute(const std::string& name) const {
  const auto values = string_attribute_values(name);
  if (values.size() != 1) {
    fail("attribute '" + name + "' is not a single string", "1 string",
         std::to_string(values.size()) + " strings");
  }
  return values.front();
}

void Object::write_attribute(const std::string& name, hid_t type, const void* values, std::size_t count,
                             bool scalar) {
  const std::string action = "write attribute '" + name + "' of";
  silence();
  const hsize_t extent = count;
  const Identifier space(
      MGRN_H5(action, scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &extent, nullptr)), H5Sclose);
  const Identifier attribute(
      MGRN_H5(action, H5Acreate2(id(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT)), H5Aclose);
  if (count > 0) {
    MGRN_H5(action, H5Awrite(attribute.get(), type, values));
  }
}

void Object::write_string_attribute(const std::string& name, std::string_view value) {
  const std::string action = "write attribute '" + name + "' of";
  silence();
  const Identifier type(MGRN_H5(action, H5Tcopy(H5T_C_S1)), H5Tclose);
  MGRN_H5(action, H5Tset_size(type.get(), std::max<std::size_t>(value.size(), 1)));
  MGRN_H5(action, H5Tset_strpad(type.get(), H5T_STR_NULLPAD));
  MGRN_H5(action, H5Tset_cset(type.get(), H5T_CSET_UTF8));
  const std::string padded = value.empty() ? std::string(1, '\0') : std::string(value);
  write_attribute(name, type.get(), padded.data(), 1, true);
}

Identifier Dataset::file_space() const {
  silence();
  return {MGRN_H5("read the shape of", H5Dget_space(id())), H5Sclose};
}

Shape Dataset::shape() const {
  const Identifier space = file_space();
  const int rank = MGRN_H5("read the shape of", H5Sget_simple_extent_ndims(space.get()));
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  MGRN_H5("read the shape of", H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr));
  return {extents.begin(), extents.end()};
}

std::uint64_t Dataset::size() const {
  return product(shape());
}

ElementKind Dataset::kind() const {
  silence();
  const Identifier type(MGRN_H5("read the type of", H5Dget_type(id())), H5Tclose);
  return kind_of_type(type.get());
}

std::uint64_t Dataset::element_width() const {
  silence();
  const Identifier type(MGRN_H5("read the type of", H5Dget_type(id())), H5Tclose);
  const bool variable = H5Tget_class(type.get()) == H5T_STRING &&
                        MGRN_H5("read the type of", H5Tis_variable_str(type.get())) > 0;
  return variable ? 0 : H5Tget_size(type.get());
}

void Dataset::require_slab(const Shape& offset, const Shape& count) const {
  const Shape extents = shape();
  bool inside = offset.size() == extents.size() && count.size() == extents.size();
  for (std::size_t i = 0; inside && i < extents.size(); ++i) {
    inside = offset[i] <= extents[i] && count[i] <= extents[i] - offset[i];
  }
  if (!inside) {
    fail("slab outside the dataset", "inside " + shape_text(extents),
         shape_text(count) + " from " + shape_text(offset));
  }
}

namespace {

// Selects the slab in `file_space` and makes the memory space for it. The two always select alike, also
// when empty, so that a collective transfer finds every rank.
template <class Check>
Identifier select(const Identifier& file_space, const Shape& offset, const Shape& count, Check check) {
  const std::vector<hsize_t> extents = to_hsize(count);
  const int rank = static_cast<int>(extents.size());
  Identifier memory(rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, extents.data(), nullptr),
                    H5Sclose);
  check(memory.get(), "H5Screate_simple");
  if (product(count) == 0) {
    check(H5Sselect_none(file_space.get()), "H5Sselect_none");
    check(H5Sselect_none(memory.get()), "H5Sselect_none");
  } else if (rank > 0) {
    const std::vector<hsize_t> start = to_hsize(offset);
    check(
        H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr),
        "H5Sselect_hyperslab");
  }
  return memory;
}

}  // namespace

void Dataset::read_slab(const Shape& offset, const Shape& count, hid_t memory_type, bool integral,
                        void* target, std::size_t capacity, hid_t transfer) const {
  require_slab(offset, count);
  const ElementKind stored = kind();
  if (stored != ElementKind::integer && (integral || stored != ElementKind::floating)) {
    fail("dataset has the wrong type", integral ? "integers" : "numbers", kind_name(stored));
  }
  if (product(count) != capacity) {
    throw base::InternalError(
        {.what = "buffer does not match slab " + shape_text(count) + " of '" + path_ + "'",
         .file = origin_->file});
  }
  const Identifier space = file_space();
  const Identifier memory = select(space, offset, count, [this](auto result, const char* expression) {
    checked(result, "select a part of", expression);
  });
  // An empty vector's data() may be null, which HDF5 refuses.
  char nothing = 0;
  MGRN_H5("read",
          H5Dread(id(), memory_type, memory.get(), space.get(), transfer, capacity == 0 ? &nothing : target));
}

void Dataset::write_slab(const Shape& offset, const Shape& count, hid_t memory_type, const void* values,
                         std::size_t available, hid_t transfer) {
  require_slab(offset, count);
  if (product(count) != available) {
    throw base::InternalError(
        {.what = "buffer does not match slab " + shape_text(count) + " of '" + path_ + "'",
         .file = origin_->file});
  }
  const Identifier space = file_space();
  const Identifier memory = select(space, offset, count, [this](auto result, const char* expression) {
    checked(result, "select a part of", expression);
  });
  const char nothing = 0;
  MGRN_H5("write", H5Dwrite(id(), memory_type, memory.get(), space.get(), transfer,
                            available == 0 ? &nothing : values));
}

std::vector<std::string> Dataset::read_strings() const {
  silence();
  const Identifier type(MGRN_H5("read the type of", H5Dget_type(id())), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_STRING) {
    fail("dataset has the wrong type", "strings", kind_name(kind_of_type(type.get())));
  }
  return read_strings_as(type.get(), type.get());
}

std::vector<std::string> Dataset::compound_members() const {
  silence();
  const Identifier type(MGRN_H5("read the type of", H5Dget_type(id())), H5Tclose);
  std::vector<std::string> names;
  if (H5Tget_class(type.get()) == H5T_COMPOUND) {
    const int count = MGRN_H5("read the type of", H5Tget_nmembers(type.get()));
    for (int i = 0; i < count; ++i) {
      char* name = H5Tget_member_name(type.get(), static_cast<unsigned>(i));
      names.emplace_back(name == nullptr ? "" : name);
      H5free_memory(name);
    }
  }
  return names;
}

std::vector<std::string> Dataset::read_string_member(const std::string& member) const {
  silence();
  const Identifier type(MGRN_H5("read the type of", H5Dget_type(id())), H5Tclose);
  const int index =
      MGRN_H5("find member '" + member + "' of", H5Tget_member_index(type.get(), member.c_str()));
  const Identifier string_type(
      MGRN_H5("read the type of", H5Tget_member_type(type.get(), static_cast<unsigned>(index))), H5Tclose);
  if (H5Tget_class(string_type.get()) != H5T_STRING) {
    fail("member '" + member + "' has the wrong type", "strings", kind_name(kind_of_type(string_type.get())));
  }
  // A compound of this member alone: HDF5 then reads nothing else of each element.
  const Identifier memory_type(MGRN_H5("read", H5Tcreate(H5T_COMPOUND, H5Tget_size(string_type.get()))),
                               H5Tclose);
  MGRN_H5("read", H5Tinsert(memory_type.get(), member.c_str(), 0, string_type.get()));
  return read_strings_as(memory_type.get(), string_type.get());
}

std::vector<std::string> Dataset::read_strings_as(hid_t memory_type, hid_t string_type) const {
  const std::uint64_t count = size();
  std::vector<std::string> values;
  if (count == 0) {
    return values;
  }
  allocate(values, count);
  if (MGRN_H5("read the type of", H5Tis_variable_str(string_type)) > 0) {
    std::vector<char*> texts;
    allocate(texts, count);
    MGRN_H5("read", H5Dread(id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = texts[i] == nullptr ? "" : texts[i];
    }
    const Identifier space = file_space();
    H5Dvlen_reclaim(memory_type, space.get(), H5P_DEFAULT, texts.data());
  } else {
    const std::size_t width = H5Tget_size(string_type);
    if (count > std::numeric_limits<std::uint64_t>::max() / width) {
      too_large(count);
    }
    std::vector<char> texts;
    allocate(texts, count * width);
    MGRN_H5("read", H5Dread(id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()));
    const H5T_str_t padding = H5Tget_strpad(string_type);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = trimmed(texts.data() + i * width, width, padding);
    }
  }
  return values;
}

void Dataset::write_strings(const Shape& offset, const Shape& count, std::span<const std::string> values,
                            hid_t transfer) {
  silence();
  const Identifier type(MGRN_H5("read the type of", H5Dget_type(id())), H5Tclose);
  const std::size_t width = H5Tget_size(type.get());
  std::vector<char> texts(values.size() * width, '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].size() > width) {
      throw base::InternalError({.what = "string is wider than dataset '" + path_ + "'",
                                 .file = origin_->file,
                                 .expected = "at most " + std::to_string(width) + " bytes",
                                 .got = values[i]});
    }
    std::memcpy(texts.data() + i * width, values[i].data(), values[i].size());
  }
  write_slab(offset, count, type.get(), texts.data(), values.size(), transfer);
}

void Dataset::extend(const Shape& shape) {
  silence();
  const std::vector<hsize_t> extents = to_hsize(shape);
  MGRN_H5("extend", H5Dset_extent(id(), extents.data()));
}

std::string Group::child(const std::string& name) const {
  return path_ == "/" ? "/" + name : path_ + "/" + name;
}

bool Group::has(const std::string& name) const {
  silence();
  // H5Lexists wants every link on the way to exist, so the path is walked part by part.
  for (std::size_t end = 0; end < name.size();) {
    end = std::min(name.find('/', end + 1), name.size());
    const std::string part = name.substr(0, end);
    if (MGRN_H5("look up '" + name + "' in", H5Lexists(id(), part.c_str(), H5P_DEFAULT)) == 0 ||
        MGRN_H5("look up '" + name + "' in", H5Oexists_by_name(id(), part.c_str(), H5P_DEFAULT)) == 0) {
      return false;
    }
    if (end < name.size() && !has_group(part)) {
      return false;
    }
  }
  return true;
}

namespace {

H5I_type_t kind_of_member(hid_t group, const std::string& name) {
  const Identifier object(H5Oopen(group, name.c_str(), H5P_DEFAULT), H5Oclose);
  return object ? H5Iget_type(object.get()) : H5I_BADID;
}

}  // namespace

bool Group::has_group(const std::string& name) const {
  // For a bare name only: the walk of has() calls this on each part once it knows that the part exists.
  silence();
  if (name.find('/') != std::string::npos && !has(name.substr(0, name.rfind('/')))) {
    return false;
  }
  return H5Lexists(id(), name.c_str(), H5P_DEFAULT) > 0 && kind_of_member(id(), name) == H5I_GROUP;
}

bool Group::has_dataset(const std::string& name) const {
  return has(name) && kind_of_member(id(), name) == H5I_DATASET;
}

std::vector<std::string> Group::members() const {
  silence();
  std::vector<std::string> names;
  hsize_t index = 0;
  MGRN_H5("list", H5Literate(
                      id(), H5_INDEX_NAME, H5_ITER_INC, &index,
                      [](hid_t, const char* name, const H5L_info_t*, void* target) -> herr_t {
                        static_cast<std::vector<std::string>*>(target)->emplace_back(name);
                        return 0;
                      },
                      &names));
  std::sort(names.begin(), names.end());
  return names;
}

Group Group::group(const std::string& name) const {
  silence();
  if (!has_group(name)) {
    raise_missing(*origin_, "group '" + child(name) + "'", has(name));
  }
  Identifier opened(MGRN_H5("open group '" + name + "' in", H5Gopen2(id(), name.c_str(), H5P_DEFAULT)),
                    H5Gclose);
  return {std::move(opened), origin_, child(name)};
}

Dataset Group::dataset(const std::string& name) const {
  silence();
  if (!has_dataset(name)) {
    raise_missing(*origin_, "dataset '" + child(name) + "'", has(name));
  }
  Identifier opened(MGRN_H5("open dataset '" + name + "' in", H5Dopen2(id(), name.c_str(), H5P_DEFAULT)),
                    H5Dclose);
  return {std::move(opened), origin_, child(name)};
}

Group Group::create_group(const std::string& name) {
  const std::string action = "make group '" + name + "' in";
  silence();
  const Identifier links(MGRN_H5(action, H5Pcreate(H5P_LINK_CREATE)), H5Pclose);
  MGRN_H5(action, H5Pset_create_intermediate_group(links.get(), 1));
  const Identifier properties(MGRN_H5(action, H5Pcreate(H5P_GROUP_CREATE)), H5Pclose);
  MGRN_H5(action, H5Pset_obj_track_times(properties.get(), false));
  Identifier made(MGRN_H5(action, H5Gcreate2(id(), name.c_str(), links.get(), properties.get(), H5P_DEFAULT)),
                  H5Gclose);
  return {std::move(made), origin_, child(name)};
}

Dataset Group::create_dataset(const std::string& name, hid_t type, const Shape& shape, const Layout& layout) {
  const std::string action = "make dataset '" + name + "' in";
  silence();
  const std::vector<hsize_t> extents = to_hsize(shape);
  const bool empty = product(shape) == 0;
  // HDF5 wants chunks no larger than a fixed extent, hence none at all for an empty one.
  const bool chunked = !layout.chunk.empty() && (layout.extendable || !empty) && !shape.empty();
  if (layout.extendable && !chunked) {
    throw base::InternalError({.what = "an extendable dataset needs a chunk: '" + child(name) + "'"});
  }
  std::vector<hsize_t> limits = extents;
  if (layout.extendable) {
    limits.front() = H5S_UNLIMITED;
  }
  const Identifier space(MGRN_H5(action, shape.empty() ? H5Screate(H5S_SCALAR)
                                                       : H5Screate_simple(static_cast<int>(extents.size()),
                                                                          extents.data(), limits.data())),
                         H5Sclose);
  const Identifier properties(MGRN_H5(action, H5Pcreate(H5P_DATASET_CREATE)), H5Pclose);
  MGRN_H5(action, H5Pset_obj_track_times(properties.get(), false));
  if (chunked) {
    std::vector<hsize_t> chunk = to_hsize(layout.chunk);
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      const bool grows = layout.extendable && i == 0;
      chunk[i] = std::max<hsize_t>(1, grows ? chunk[i] : std::min(chunk[i], extents.at(i)));
    }
    MGRN_H5(action, H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data()));
    if (layout.deflate > 0) {
      if (layout.shuffle) {
        MGRN_H5(action, H5Pset_shuffle(properties.get()));
      }
      MGRN_H5(action, H5Pset_deflate(properties.get(), static_cast<unsigned>(layout.deflate)));
    }
  }
  const Identifier links(MGRN_H5(action, H5Pcreate(H5P_LINK_CREATE)), H5Pclose);
  MGRN_H5(action, H5Pset_create_intermediate_group(links.get(), 1));
  Identifier made(MGRN_H5(action, H5Dcreate2(id(), name.c_str(), type, space.get(), links.get(),
                                             properties.get(), H5P_DEFAULT)),
                  H5Dclose);
  return {std::move(made), origin_, child(name)};
}

Dataset Group::create_strings(const std::string& name, const Shape& shape, std::size_t width,
                              const Layout& layout) {
  const std::string action = "make dataset '" + name + "' in";
  silence();
  const Identifier type(MGRN_H5(action, H5Tcopy(H5T_C_S1)), H5Tclose);
  MGRN_H5(action, H5Tset_size(type.get(), std::max<std::size_t>(width, 1)));
  MGRN_H5(action, H5Tset_strpad(type.get(), H5T_STR_NULLPAD));
  MGRN_H5(action, H5Tset_cset(type.get(), H5T_CSET_UTF8));
  return create_dataset(name, type.get(), shape, layout);
}

Dataset Group::write_strings(const std::string& name, std::span<const std::string> values,
                             const Layout& layout) {
  std::size_t width = 1;
  for (const std::string& value : values) {
    width = std::max(width, value.size());
  }
  Dataset dataset = create_strings(name, Shape{values.size()}, width, layout);
  dataset.write_strings(Shape{0}, Shape{values.size()}, values);
  return dataset;
}

File::File(Identifier file, Identifier root, std::shared_ptr<const Origin> origin)
    : Group(std::move(root), std::move(origin), "/"), file_id_(std::move(file)) {}

File::~File() {
  id_.reset();
}

bool File::recognises(const std::filesystem::path& file) {
  // The signature stands at 0, or at 512, 1024, 2048, ... behind a user block.
  static constexpr std::array<char, 8> kSignature = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  std::ifstream stream(file, std::ios::binary);
  std::array<char, 8> start{};
  for (std::streamoff offset = 0; stream; offset = offset == 0 ? 512 : offset * 2) {
    stream.seekg(offset);
    if (stream.read(start.data(), start.size()) && start == kSignature) {
      return true;
    }
  }
  return false;
}

File File::open(const std::filesystem::path& file, hid_t access) {
  silence();
  const auto origin = std::make_shared<const Origin>(Origin{file.string(), false});
  std::error_code code;
  const auto status = std::filesystem::status(file, code);
  if (!std::filesystem::exists(status)) {
    throw base::DataError({.what = "file does not exist", .file = file.string(), .hint = "check the path"});
  }
  if (std::filesystem::is_directory(status)) {
    throw base::DataError({.what = "not an HDF5 file",
                           .file = file.string(),
                           .expected = "a file",
                           .got = "a folder",
                           .hint = "give the path of the file itself"});
  }
  if (!std::ifstream(file)) {
    throw base::DataError({.what = "cannot read file",
                           .file = file.string(),
                           .got = "permission denied",
                           .hint = "check the file's permissions"});
  }
  if (!recognises(file)) {
    throw base::DataError(
        {.what = "not an HDF5 file",
         .file = file.string(),
         .expected = "HDF5's signature",
         .got = std::filesystem::file_size(file, code) == 0 ? "an empty file" : "other content",
         .hint = "check the path, and whether the download was complete"});
  }
  const Identifier list = access_list(access, *origin);
  Identifier opened(H5Fopen(file.c_str(), H5F_ACC_RDONLY, list.get()), H5Fclose);
  if (!opened) {
    raise_call(*origin, "cannot open HDF5 file", "H5Fopen()");
  }
  Identifier root(H5Gopen2(opened.get(), "/", H5P_DEFAULT), H5Gclose);
  if (!root) {
    raise_call(*origin, "cannot open HDF5 file", "H5Gopen2()");
  }
  return {std::move(opened), std::move(root), origin};
}

File File::create(const std::filesystem::path& file, hid_t access) {
  silence();
  const auto origin = std::make_shared<const Origin>(Origin{file.string(), true});
  const Identifier list = access_list(access, *origin);
  // From HDF5 1.8 on attributes may be larger than 64 KiB, which long settings need.
  if (H5Pset_libver_bounds(list.get(), H5F_LIBVER_V18, H5F_LIBVER_V110) < 0) {
    raise_call(*origin, "cannot set up the HDF5 file", "H5Pset_libver_bounds()");
  }
  const Identifier properties(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  if (!properties || H5Pset_obj_track_times(properties.get(), false) < 0) {
    raise_call(*origin, "cannot set up the HDF5 file", "H5Pset_obj_track_times()");
  }
  Identifier made(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, properties.get(), list.get()), H5Fclose);
  if (!made) {
    raise_call(*origin, "cannot create HDF5 file", "H5Fcreate()");
  }
  Identifier root(H5Gopen2(made.get(), "/", H5P_DEFAULT), H5Gclose);
  if (!root) {
    raise_call(*origin, "cannot create HDF5 file", "H5Gopen2()");
  }
  return {std::move(made), std::move(root), origin};
}

void File::close() {
  silence();
  id_.reset();
  if (file_id_.reset() < 0) {
    raise_call(*origin_, "cannot finish writing HDF5 file", "H5Fclose()");
  }
}

}  // namespace mgrn::formats::hdf5
