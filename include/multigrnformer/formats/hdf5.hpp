// SPDX-License-Identifier: Apache-2.0
// HDF5, wrapped once: owning handles for files, groups and datasets; typed reads and writes of whole
// datasets and hyperslabs; attributes; strings of fixed and variable length.
//
// Every H5 call is checked. A failure becomes a DataError (file opened for reading) or an OutputError (file
// created by us) that names the file, the object's path, the call and HDF5's own reason; HDF5's printing is
// off. Not thread-safe: HDF5 is not.
//
// Collective use: with an access list from comm::parallel_file_access() in File::create(), every rank must
// make the same calls that create, extend or close objects or write attributes, in the same order; writes
// of hyperslabs are collective when `transfer` asks for it (a rank without data passes an empty slab).
// Files are byte-stable: no times are stored in them.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mgrn::formats::hdf5 {

/// Owns any HDF5 identifier and closes it with the function it was given with. Movable only.
class Identifier {
 public:
  using Closer = herr_t (*)(hid_t);
  Identifier() = default;
  Identifier(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  ~Identifier() { reset(); }
  Identifier(Identifier&& other) noexcept
      : id_(std::exchange(other.id_, -1)), closer_(std::exchange(other.closer_, nullptr)) {}
  Identifier& operator=(Identifier&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, -1);
      closer_ = std::exchange(other.closer_, nullptr);
    }
    return *this;
  }
  Identifier(const Identifier&) = delete;
  Identifier& operator=(const Identifier&) = delete;

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// Closes now; the result of the closing call, 0 when there was nothing to close.
  herr_t reset() noexcept {
    const hid_t id = std::exchange(id_, -1);
    return id >= 0 && closer_ != nullptr ? closer_(id) : 0;
  }

 private:
  hid_t id_ = -1;
  Closer closer_ = nullptr;
};

using Shape = std::vector<std::uint64_t>;

/// How a new dataset lies in the file.
struct Layout {
  Shape chunk = {};         ///< elements per chunk; empty: contiguous (then no compression)
  int deflate = 0;          ///< zlib level 1..9, 0: none
  bool shuffle = true;      ///< byte shuffle before deflate
  bool extendable = false;  ///< first dimension may grow with Dataset::extend(); needs a chunk
};

/// What the elements of a dataset or attribute are.
enum class ElementKind { integer, floating, string, other };

/// The HDF5 type of T in memory, which is also the one new datasets get.
template <class T>
hid_t native_type() {
  static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>, "numbers only; strings have own calls");
  if constexpr (std::is_same_v<T, float>) {
    return H5T_NATIVE_FLOAT;
  } else if constexpr (std::is_same_v<T, double>) {
    return H5T_NATIVE_DOUBLE;
  } else if constexpr (std::is_signed_v<T>) {
    if constexpr (sizeof(T) == 1) {
      return H5T_NATIVE_INT8;
    } else if constexpr (sizeof(T) == 2) {
      return H5T_NATIVE_INT16;
    } else if constexpr (sizeof(T) == 4) {
      return H5T_NATIVE_INT32;
    } else {
      return H5T_NATIVE_INT64;
    }
  } else {
    if constexpr (sizeof(T) == 1) {
      return H5T_NATIVE_UINT8;
    } else if constexpr (sizeof(T) == 2) {
      return H5T_NATIVE_UINT16;
    } else if constexpr (sizeof(T) == 4) {
      return H5T_NATIVE_UINT32;
    } else {
      return H5T_NATIVE_UINT64;
    }
  }
}

/// Where an object came from, shared by all handles of a file; decides the type of error.
struct Origin {
  std::string file;
  bool writing = false;
};

/// What files, groups and datasets have in common: a path and attributes.
class Object {
 public:
  Object(const Object&) = delete;
  Object(Object&&) noexcept = default;
  Object& operator=(const Object&) = delete;
  Object& operator=(Object&&) noexcept = default;
  virtual ~Object() = default;

  /// Path inside the file: "/matrix/data".
  const std::string& path() const { return path_; }
  const std::string& file() const { return origin_->file; }
  hid_t id() const { return id_.get(); }

  bool has_attribute(const std::string& name) const;
  ElementKind attribute_kind(const std::string& name) const;
  /// A scalar attribute, or the only element of an array of one.
  template <class T>
  T attribute(const std::string& name) const {
    const std::vector<T> all = attribute_values<T>(name);
    if (all.size() != 1) {
      fail("attribute '" + name + "' is not a single value", "1 element",
           std::to_string(all.size()) + " elements");
    }
    return all.front();
  }
  template <class T>
  std::vector<T> attribute_values(const std::string& name) const {
    std::vector<T> values;
    read_attribute(name, native_type<T>(), std::is_integral_v<T>, sizeof(T), [&values](std::size_t count) {
      values.resize(count);
      return static_cast<void*>(values.data());
    });
    return values;
  }
  std::string string_attribute(const std::string& name) const;
  std::vector<std::string> string_attribute_values(const std::string& name) const;

  /// Collective in a parallel file.
  template <class T>
  void write_attribute(const std::string& name, T value) {
    write_attribute(name, native_type<T>(), &value, 1, true);
  }
  template <class T>
  void write_attribute(const std::string& name, std::span<const T> values) {
    write_attribute(name, native_type<T>(), values.data(), values.size(), false);
  }
  void write_string_attribute(const std::string& name, std::string_view value);

  /// Throws this file's type of error about this object.
  [[noreturn]] void fail(const std::string& what, const std::string& expected, const std::string& got,
                         const std::string& hint = {}) const;

 protected:
  Object(Identifier id, std::shared_ptr<const Origin> origin, std::string path)
      : id_(std::move(id)), origin_(std::move(origin)), path_(std::move(path)) {}

  // Throws about a failed call, with HDF5's innermost reason.
  [[noreturn]] void call_failed(const std::string& action, const char* expression) const;
  template <class Result>
  Result checked(Result result, const std::string& action, const char* expression) const {
    if (result < 0) {
      call_failed(action, expression);
    }
    return result;
  }
  [[noreturn]] void too_large(std::uint64_t elements) const;

  Identifier id_;
  std::shared_ptr<const Origin> origin_;
  std::string path_;

 private:
  template <class Allocate>
  void read_attribute(const std::string& name, hid_t memory_type, bool integral, std::size_t width,
                      Allocate allocate) const {
    static_cast<void>(width);
    Identifier attribute = open_attribute(name);
    const std::uint64_t count = attribute_size(attribute, name, integral);
    void* target = allocate(static_cast<std::size_t>(count));
    if (count > 0) {
      fill_attribute(attribute, name, memory_type, target);
    }
  }
  Identifier open_attribute(const std::string& name) const;
  std::uint64_t attribute_size(const Identifier& attribute, const std::string& name, bool integral) const;
  void fill_attribute(const Identifier& attribute, const std::string& name, hid_t memory_type,
                      void* target) const;
  void write_attribute(const std::string& name, hid_t type, const void* values, std::size_t count,
                       bool scalar);
};

/// A dataset. Shapes and offsets have one number per dimension.
class Dataset : public Object {
 public:
  Shape shape() const;
  /// Number of elements.
  std::uint64_t size() const;
  ElementKind kind() const;
  /// Size of one stored element in bytes (of a string of fixed length: its width; variable length: 0).
  std::uint64_t element_width() const;

  /// The whole dataset, row-major. Integers are only read from integers (HDF5 itself would cut fractions and
  /// clip what is out of range without a word: read signed where negatives are possible).
  template <class T>
  std::vector<T> read() const {
    std::vector<T> values;
    allocate(values, size());
    read_into(std::span<T>(values));
    return values;
  }
  template <class T>
  void read_into(std::span<T> target) const {
    read_slab(Shape(shape().size(), 0), shape(), native_type<T>(), std::is_integral_v<T>, target.data(),
              target.size(), H5P_DEFAULT);
  }
  template <class T>
  std::vector<T> read(const Shape& offset, const Shape& count) const {
    std::uint64_t elements = 1;
    for (const std::uint64_t extent : count) {
      elements *= extent;
    }
    std::vector<T> values;
    require_slab(offset, count);
    allocate(values, elements);
    read_slab(offset, count, native_type<T>(), std::is_integral_v<T>, values.data(), values.size(),
              H5P_DEFAULT);
    return values;
  }
  /// `count` elements from `first` of a one-dimensional dataset.
  template <class T>
  std::vector<T> read(std::uint64_t first, std::uint64_t count) const {
    return read<T>(Shape{first}, Shape{count});
  }
  template <class T>
  void read_into(const Shape& offset, const Shape& count, std::span<T> target,
                 hid_t transfer = H5P_DEFAULT) const {
    read_slab(offset, count, native_type<T>(), std::is_integral_v<T>, target.data(), target.size(), transfer);
  }
  /// Strings of fixed (any padding) or variable length, the whole dataset.
  std::vector<std::string> read_strings() const;

  /// Names of a compound type's members, empty for any other type.
  std::vector<std::string> compound_members() const;
  /// One member of each element of a compound dataset, a string of fixed or variable length.
  std::vector<std::string> read_string_member(const std::string& member) const;

  template <class T>
  void write(std::span<const T> values, hid_t transfer = H5P_DEFAULT) {
    write_slab(Shape(shape().size(), 0), shape(), native_type<T>(), values.data(), values.size(), transfer);
  }
  /// A hyperslab; any zero in `count` is an empty one (a collective call then still takes part).
  template <class T>
  void write(const Shape& offset, const Shape& count, std::span<const T> values,
             hid_t transfer = H5P_DEFAULT) {
    write_slab(offset, count, native_type<T>(), values.data(), values.size(), transfer);
  }
  /// Into a dataset of strings of fixed length made by Group::create_strings; longer ones are an
  /// InternalError.
  void write_strings(const Shape& offset, const Shape& count, std::span<const std::string> values,
                     hid_t transfer = H5P_DEFAULT);
  /// New extent of an extendable dataset. Collective in a parallel file.
  void extend(const Shape& shape);

 private:
  friend class Group;
  using Object::Object;

  template <class T>
  void allocate(std::vector<T>& values, std::uint64_t elements) const {
    // A damaged file may claim any shape; that is the file's fault, not ours.
    try {
      values.resize(elements);
    } catch (const std::exception&) {
      too_large(elements);
    }
  }
  Identifier file_space() const;
  std::vector<std::string> read_strings_as(hid_t memory_type, hid_t string_type) const;
  void require_slab(const Shape& offset, const Shape& count) const;
  void read_slab(const Shape& offset, const Shape& count, hid_t memory_type, bool integral, void* target,
                 std::size_t capacity, hid_t transfer) const;
  void write_slab(const Shape& offset, const Shape& count, hid_t memory_type, const void* values,
                  std::size_t available, hid_t transfer);
};

/// A group, and the root of a file.
class Group : public Object {
 public:
  /// Whether `name` (a path relative to this group, "features/id") leads to a group or dataset.
  bool has(const std::string& name) const;
  bool has_group(const std::string& name) const;
  bool has_dataset(const std::string& name) const;
  /// Names of the members, sorted.
  std::vector<std::string> members() const;

  Group group(const std::string& name) const;
  Dataset dataset(const std::string& name) const;

  /// Intermediate groups are made too.
  Group create_group(const std::string& name);
  template <class T>
  Dataset create_dataset(const std::string& name, const Shape& shape, const Layout& layout = {}) {
    return create_dataset(name, native_type<T>(), shape, layout);
  }
  /// Strings of fixed length `width` bytes (null-padded, UTF-8).
  Dataset create_strings(const std::string& name, const Shape& shape, std::size_t width,
                         const Layout& layout = {});
  /// Creates and fills a one-dimensional dataset.
  template <class T>
  Dataset write_dataset(const std::string& name, std::span<const T> values, const Layout& layout = {}) {
    Dataset dataset = create_dataset<T>(name, Shape{values.size()}, layout);
    dataset.write(values);
    return dataset;
  }
  /// The same for strings, as wide as the longest.
  Dataset write_strings(const std::string& name, std::span<const std::string> values,
                        const Layout& layout = {});

 protected:
  using Object::Object;

 private:
  Dataset create_dataset(const std::string& name, hid_t type, const Shape& shape, const Layout& layout);
  std::string child(const std::string& name) const;
};

/// An open file; itself the root group. Closing the file closes every handle opened through it.
class File : public Group {
 public:
  /// For reading, without file locks (parallel file systems often refuse them). `access` is a file access
  /// list or H5P_DEFAULT; it is copied. Throws DataError.
  static File open(const std::filesystem::path& file, hid_t access = H5P_DEFAULT);
  /// A new file, replacing any of that name. Collective with a parallel `access`. Throws OutputError.
  static File create(const std::filesystem::path& file, hid_t access = H5P_DEFAULT);
  /// Whether the file starts as HDF5 does.
  static bool recognises(const std::filesystem::path& file);

  /// Flushes and closes, and reports what the destructor could only swallow: call it after writing.
  /// Collective in a parallel file.
  void close();
  File(const File&) = delete;
  File(File&&) noexcept = default;
  File& operator=(const File&) = delete;
  File& operator=(File&&) noexcept = default;
  ~File() override;

 private:
  File(Identifier file, Identifier root, std::shared_ptr<const Origin> origin);
  Identifier file_id_;
};

}  // namespace mgrn::formats::hdf5
