#compdef ringside
# SPDX-License-Identifier: Apache-2.0
# Completion of ringside for zsh: the program itself knows its verbs and flags.

_ringside() {
    local -a request suggestions
    request=("${(@)words[1,CURRENT-1]}")
    # Behind "--" the program would run instead of answering.
    (( ${request[(Ie)--]} )) && { _files; return }
    # So would it with "--" alone, of which every flag may come.
    [[ ${words[CURRENT]} == -* ]] && request+=("${words[CURRENT]/%--/-}")
    # 0=zsh asks for descriptions beside the verbs.
    suggestions=("${(@f)$(env 0=zsh "${request[@]}" --generate-bash-completion 2>/dev/null)}")
    if [[ -n ${suggestions[1]} ]]; then
        _describe ringside suggestions
    else
        _files
    fi
}

# Autoloaded from fpath, this file is the function; sourced, it defines one.
if [[ ${funcstack[1]} == _ringside ]]; then
    _ringside "$@"
else
    compdef _ringside ringside
fi
