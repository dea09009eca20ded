// libhiprtc: compiles a kernel with g++ into a shared library, and keeps its text for nvrtc.py.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "standin.h"

namespace fs = std::filesystem;
using std::string;

enum { SUCCESS = 0, INVALID_INPUT = 3, COMPILATION = 6, NAME_NOT_VALID = 9 };  // hiprtcResult

struct Program {
  string source, log, code;
  std::vector<string> expressions;  // template instances that were asked for
};

static string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Where this library is: the headers are next to it.
static fs::path home() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&home), &info);
  return fs::path(info.dli_fname).parent_path();
}

static int run(const std::vector<string>& words, const fs::path& output) {
  std::vector<char*> arguments;
  for (const string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child;
  int status = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (status == 0) waitpid(child, &status, 0);
  return status;
}

static string instance_name(size_t i) { return "instance_" + std::to_string(i); }

// The kernel's text with what makes it a library: the language before it, the entries after it.
static string whole_text(const Program& program) {
  static const std::regex extern_shared(
      R"(extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*)?([\w ]+?)\s*(\w+)\s*\[\s*\]\s*;)");
  static const std::regex barrier(R"(__sync(threads|warp)|__shfl_)");
  static const std::regex kernel(
      R"(__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\()");
  static const std::regex extern_c(R"(extern\s+"C"\s*$)");

  const string source =
      std::regex_replace(program.source, extern_shared, "$1* $2 = ($1*)standin_dynamic_shared();");
  const string has_barriers = std::regex_search(source, barrier) ? "true" : "false";
  const bool has_block = std::regex_search(source, std::regex(R"(extern\s+"C"\s*\{)"));

  // Kernels with C linkage are found by their own names, instances of templates by ours.
  std::set<string> names;
  for (std::sregex_iterator i(source.begin(), source.end(), kernel), end; i != end; ++i) {
    string before = source.substr(0, i->position());
    before = before.substr(before.size() < 40 ? 0 : before.size() - 40);
    if (has_block || std::regex_search(before, extern_c)) names.insert((*i)[1]);
  }

  std::ostringstream text;
  bool is_cupys = source.find("<cupy/carray.cuh>") != string::npos;
  text << "#include \"" << (is_cupys ? "cupy_on_cpu.h" : "cuda_on_cpu.h") << "\"\n";
  text << "#line 1 \"kernel.cu\"\n" << source << "\n";
  for (const string& name : names) {
    text << "STANDIN_KERNEL(" << name << ", " << name << ", " << has_barriers << ")\n";
  }
  for (size_t i = 0; i < program.expressions.size(); i++) {
    text << "STANDIN_KERNEL(" << instance_name(i) << ", (" << program.expressions[i] << "), "
         << has_barriers << ")\n";
  }
  return text.str();
}

// For nvrtc.py: every text that was compiled, with what else a compiler must know.
static void keep(const Program& program, const std::vector<string>& options) {
  const char* folder = getenv("CUPY_ON_CPU_KERNELS");
  if (!folder) return;
  std::ostringstream text;
  text << program.source << "\n";
  for (const string& option : options) text << "// option: " << option << "\n";
  for (const string& expression : program.expressions) text << "// name: " << expression << "\n";
  std::ostringstream name;
  name << std::hex << std::hash<string>()(text.str()) << ".cu";
  fs::create_directories(folder);
  fs::path partial = fs::path(folder) / (name.str() + "." + std::to_string(getpid()));
  std::ofstream(partial) << text.str();
  fs::rename(partial, fs::path(folder) / name.str());  // other processes never see half a file
}

STANDIN_EXPORT const char* hiprtcGetErrorString(int error) {
  return error == SUCCESS ? "HIPRTC_SUCCESS"
         : error == COMPILATION ? "HIPRTC_ERROR_COMPILATION"
                                : "HIPRTC_ERROR_INVALID_INPUT";
}

STANDIN_EXPORT int hiprtcVersion(int* major, int* minor) {
  *major = 7;
  *minor = 0;
  return SUCCESS;
}

STANDIN_EXPORT int hiprtcCreateProgram(Program** program, const char* source, const char*, int,
                                       const char**, const char**) {
  *program = new Program;
  (*program)->source = source;
  return SUCCESS;
}

STANDIN_EXPORT int hiprtcDestroyProgram(Program** program) {
  delete *program;
  *program = nullptr;
  return SUCCESS;
}

STANDIN_EXPORT int hiprtcAddNameExpression(Program* program, const char* expression) {
  program->expressions.push_back(expression);
  return SUCCESS;
}

STANDIN_EXPORT int hiprtcGetLoweredName(Program* program, const char* expression,
                                        const char** lowered) {
  static std::set<string> names;
  for (size_t i = 0; i < program->expressions.size(); i++) {
    if (program->expressions[i] == expression) {
      *lowered = names.insert(instance_name(i)).first->c_str();
      return SUCCESS;
    }
  }
  return NAME_NOT_VALID;
}

STANDIN_EXPORT int hiprtcCompileProgram(Program* program, int n, const char** given) {
  string folder = (fs::temp_directory_path() / "hiprtc-XXXXXX").string();
  if (!mkdtemp(folder.data())) return INVALID_INPUT;
  const fs::path source = fs::path(folder) / "kernel.cpp";
  const fs::path library = fs::path(folder) / "kernel.so";
  const fs::path log = fs::path(folder) / "log";
  std::ofstream(source) << whole_text(*program);

  std::vector<string> words = {"g++"};
  std::istringstream flags(read(home() / "include" / "flags"));  // those of the compiled header
  for (string word; flags >> word;) words.push_back(word);
  std::vector<string> options;
  for (int i = 0; i < n; i++) {
    string option = given[i];
    string start = option.substr(0, 2);
    if (start == "-I" || start == "-D") words.push_back(option);
    if (start != "-I" && option != "-fcuda-flush-denormals-to-zero") options.push_back(option);
  }
  // The libraries of C and C++ are found through libamdhip64; not to look at them saves time.
  for (const string& word : {string("-I") + (home() / "include").string(), string("-shared"),
                             source.string(), string("-o"), library.string(),
                             string("-Wl,-Bsymbolic"), string("-L") + home().string(),
                             string("-nostdlib"), string("-l:libamdhip64.so.7"),
                             string("-lgcc")}) {
    words.push_back(word);
  }
  int status = run(words, log);
  program->log = read(log);
  if (status == 0) {
    const string elf = read(library);
    const uint64_t size = elf.size();
    program->code = "onCPU 01" + string(reinterpret_cast<const char*>(&size), sizeof size) + elf;
    program->code += '\0';  // CuPy drops the last byte: it takes this for PTX, a text
    keep(*program, options);
  }
  fs::remove_all(folder);
  return status == 0 ? SUCCESS : COMPILATION;
}

STANDIN_EXPORT int hiprtcGetCodeSize(Program* program, size_t* size) {
  *size = program->code.size();
  return SUCCESS;
}

STANDIN_EXPORT int hiprtcGetCode(Program* program, char* code) {
  memcpy(code, program->code.data(), program->code.size());
  return SUCCESS;
}

STANDIN_EXPORT int hiprtcGetProgramLogSize(Program* program, size_t* size) {
  *size = program->log.size() + 1;
  return SUCCESS;
}

STANDIN_EXPORT int hiprtcGetProgramLog(Program* program, char* log) {
  strcpy(log, program->log.c_str());
  return SUCCESS;
}
