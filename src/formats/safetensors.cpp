// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <limits>
#include <set>
#include <system_error>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

static_assert(std::endian::native == std::endian::little, "tensors are little-endian in the file");

namespace mgrn::formats {
namespace {

constexpr std::uint64_t kLargestHeader = 100'000'000;  // the format's own limit
constexpr const char* kMetadata = "__metadata__";

struct TypeName {
  TensorType type;
  const char* name;
  std::uint64_t width;
};
constexpr std::array<TypeName, 4> kTypes = {{{TensorType::float32, "F32", 4},
                                             {TensorType::float64, "F64", 8},
                                             {TensorType::int64, "I64", 8},
                                             {TensorType::uint8, "U8", 1}}};

const TypeName& type_name(TensorType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [type](const TypeName& entry) { return entry.type == type; });
}

// Bytes of a tensor, or the largest number when that does not fit.
std::uint64_t bytes_of(const std::vector<std::int64_t>& shape, std::uint64_t width) {
  std::uint64_t bytes = width;
  for (const std::int64_t extent : shape) {
    const auto size = static_cast<std::uint64_t>(extent);
    if (size != 0 && bytes > std::numeric_limits<std::uint64_t>::max() / size) {
      return std::numeric_limits<std::uint64_t>::max();
    }
    bytes *= size;
  }
  return bytes;
}

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what,
                       const std::string& expected = {}, const std::string& got = {}) {
  throw base::DataError({.what = what,
                         .file = file.string(),
                         .expected = expected,
                         .got = got,
                         .hint = "use a weights file written by this program or by the safetensors library"});
}

base::Json parse_header(const std::filesystem::path& file, const std::string& text) {
  // nlohmann keeps the last of repeated keys; the format forbids repeats.
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int, base::Json::parse_event_t event, base::Json& value) {
    if (event == base::Json::parse_event_t::object_start) {
      open.emplace_back();
    } else if (event == base::Json::parse_event_t::object_end) {
      open.pop_back();
    } else if (event == base::Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!open.back().insert(key).second) {
        fail(file, "safetensors header names '" + key + "' twice", "each tensor once");
      }
    }
    return true;
  };
  try {
    base::Json header = base::Json::parse(text, watch);
    if (!header.is_object()) {
      fail(file, "safetensors header is not a JSON object", "{...}", text.substr(0, 20));
    }
    return header;
  } catch (const base::Json::exception& error) {
    fail(file, "safetensors header is not valid JSON", "a JSON object", error.what());
  }
}

}  // namespace

void write_safetensors(const std::filesystem::path& file, const TensorFile& content) {
  // Wide types first, as the reference library does: then each tensor is aligned to its element.
  std::vector<std::map<std::string, Tensor>::const_iterator> order;
  for (auto entry = content.tensors.begin(); entry != content.tensors.end(); ++entry) {
    const Tensor& tensor = entry->second;
    const bool negative =
        std::any_of(tensor.shape.begin(), tensor.shape.end(), [](auto extent) { return extent < 0; });
    if (entry->first == kMetadata || negative ||
        bytes_of(tensor.shape, type_name(tensor.type).width) != tensor.bytes.size()) {
      throw base::InternalError({.what = "tensor '" + entry->first + "' does not match its shape",
                                 .file = file.string(),
                                 .got = std::to_string(tensor.bytes.size()) + " bytes"});
    }
    order.push_back(entry);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return type_name(a->second.type).width > type_name(b->second.type).width;
  });
  base::Json header = base::Json::object();
  if (!content.metadata.empty()) {
    header[kMetadata] = content.metadata;
  }
  std::uint64_t offset = 0;
  for (const auto& entry : order) {
    const Tensor& tensor = entry->second;
    const std::uint64_t end = offset + tensor.bytes.size();
    header[entry->first] = {
        {"dtype", type_name(tensor.type).name}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();

  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(reinterpret_cast<const char*>(&length), sizeof length);
  stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  for (const auto& entry : order) {
    stream.write(reinterpret_cast<const char*>(entry->second.bytes.data()),
                 static_cast<std::streamsize>(entry->second.bytes.size()));
  }
  stream.close();
  if (!stream) {
    throw base::OutputError({.what = "cannot write weights",
                             .file = file.string(),
                             .got = std::generic_category().message(errno),
                             .hint = "check free space, and that you may write in this folder"});
  }
}

TensorFile read_safetensors(const std::filesystem::path& file) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(file, code)) {
    throw base::DataError({.what = "weights file does not exist",
                           .file = file.string(),
                           .got = std::filesystem::exists(file, code) ? "something that is not a file" : "",
                           .hint = "check the path"});
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw base::DataError({.what = "cannot read weights file",
                           .file = file.string(),
                           .got = std::generic_category().message(errno),
                           .hint = "check the file's permissions"});
  }
  const std::uint64_t size = std::filesystem::file_size(file);
  std::uint64_t length = 0;
  if (size < sizeof length || !stream.read(reinterpret_cast<char*>(&length), sizeof length)) {
    fail(file, "weights file is truncated", "8 bytes of header length", std::to_string(size) + " bytes");
  }
  if (length > kLargestHeader) {
    fail(file, "not a safetensors file", "a header of at most 100 MB",
         std::to_string(length) + " bytes announced");
  }
  if (length > size - sizeof length) {
    fail(file, "weights file is truncated in its header", std::to_string(length) + " bytes of header",
         std::to_string(size - sizeof length));
  }
  std::string text(length, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(length));
  if (!text.starts_with('{')) {
    fail(file, "safetensors header does not start with '{'", "a JSON object", text.substr(0, 20));
  }
  const base::Json header = parse_header(file, text);
  const std::uint64_t data_bytes = size - sizeof length - length;

  struct Place {
    std::uint64_t begin;
    std::uint64_t end;
    std::string name;
  };
  std::vector<Place> places;
  TensorFile content;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) {
      if (!entry.is_object()) {
        fail(file, "safetensors metadata is not a JSON object");
      }
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) {
          fail(file, "safetensors metadata '" + key + "' is not a string");
        }
        content.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    const bool complete =
        entry.is_object() && entry.contains("dtype") && entry["dtype"].is_string() &&
        entry.contains("shape") && entry["shape"].is_array() && entry.contains("data_offsets") &&
        entry["data_offsets"].is_array() && entry["data_offsets"].size() == 2 &&
        entry["data_offsets"][0].is_number_unsigned() && entry["data_offsets"][1].is_number_unsigned();
    if (!complete) {
      fail(file, "tensor '" + name + "' lacks dtype, shape or data_offsets", "all three",
           entry.dump().substr(0, 60));
    }
    const auto dtype = entry["dtype"].get<std::string>();
    const auto type = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](const TypeName& known) { return dtype == known.name; });
    if (type == kTypes.end()) {
      fail(file, "tensor '" + name + "' has an unsupported type", "F32, F64, I64 or U8", dtype);
    }
    Tensor tensor;
    tensor.type = type->type;
    for (const auto& extent : entry["shape"]) {
      if (!extent.is_number_unsigned() ||
          extent.get<std::uint64_t>() >
              static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        fail(file, "tensor '" + name + "' has a bad shape", "whole numbers from 0", entry["shape"].dump());
      }
      tensor.shape.push_back(extent.get<std::int64_t>());
    }
    const auto begin = entry["data_offsets"][0].get<std::uint64_t>();
    const auto end = entry["data_offsets"][1].get<std::uint64_t>();
    if (begin > end || end > data_bytes) {
      fail(file, "tensor '" + name + "' lies outside the file" + (begin > end ? "" : " (truncated?)"),
           "data offsets in 0.." + std::to_string(data_bytes),
           std::to_string(begin) + ".." + std::to_string(end));
    }
    if (bytes_of(tensor.shape, type->width) != end - begin) {
      fail(file, "tensor '" + name + "' does not match its shape", entry["shape"].dump() + " of " + dtype,
           std::to_string(end - begin) + " bytes");
    }
    places.push_back({begin, end, name});
    content.tensors.emplace(name, std::move(tensor));
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t expected = 0;
  for (const Place& place : places) {
    if (place.begin != expected) {
      fail(file,
           "tensor '" + place.name + "' " +
               (place.begin < expected ? "overlaps another" : "leaves a gap before it"),
           "data from " + std::to_string(expected), "from " + std::to_string(place.begin));
    }
    expected = place.end;
    std::vector<std::byte>& bytes = content.tensors.at(place.name).bytes;
    bytes.resize(place.end - place.begin);
    if (!stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
      fail(file, "weights file is truncated in tensor '" + place.name + "'");
    }
  }
  if (expected != data_bytes) {
    fail(file, "weights file has bytes that belong to no tensor", std::to_string(expected) + " bytes of data",
         std::to_string(data_bytes));
  }
  return content;
}

}  // namespace mgrn::formats
