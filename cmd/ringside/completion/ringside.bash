# SPDX-License-Identifier: Apache-2.0
# Completion of ringside for bash: the program itself knows its verbs and flags.

_ringside() {
    local current=${COMP_WORDS[COMP_CWORD]} word
    local -a request=("${COMP_WORDS[@]:0:COMP_CWORD}")
    # Behind "--" the program would run instead of answering.
    for word in "${request[@]}"; do
        [[ $word == -- ]] && return
    done
    # So would it with "--" alone, of which every flag may come.
    [[ $current == -* ]] && request+=("${current/%--/-}")
    mapfile -t COMPREPLY < <(compgen -W "$("${request[@]}" --generate-bash-completion 2>/dev/null)" -- "$current")
}
# Where there is nothing to suggest, the shell completes paths.
complete -o bashdefault -o default -F _ringside ringside
